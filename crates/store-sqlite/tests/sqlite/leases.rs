//! Replicas' rows, where there is one process at a time and one file.

use std::time::Duration;

use gatekey_core::{Confirmation, LeaseStore, RevocationLog, StoreError};
use gatekey_lease::{ReplicaId, Row, RowAck};
use gatekey_store_sqlite::{SqliteOptions, SqliteStore};

use crate::folder::{Folder, create, revoke};

const LEASE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(7);

async fn rows(store: &SqliteStore) -> Vec<Row> {
    store.replica_rows(&[]).await.expect("an answer").rows
}

/// Who crashed is waited for by the next process: the row is there, and confirms nothing more. It can be removed
/// at the count that is seen. Who stopped as it should is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_outlives_a_crash_and_no_clean_stop() {
    let folder = Folder::create();
    let store = folder.open().await;
    let mut line = store.open_line().await.expect("a line");
    for n in 1..=3 {
        assert_eq!(line.commit_row(ID, n, LEASE).await.expect("an answer"), n == 1);
    }
    let position = store.head().await.expect("an answer");
    line.confirm(ID, Confirmation { position, confirmed: 2, waited_out: 1 }).await.expect("an answer");
    assert_eq!(
        rows(&store).await[0].ack,
        Some(RowAck { position, in_log: true, confirmed: 2, waited_out: 1 })
    );
    // Closed, but the row was not removed.
    store.close().await;
    assert!(matches!(line.head().await, Err(StoreError::Unavailable(_))));

    let store = folder.open().await;
    let token = create(&store).await.expect("creates");
    assert_eq!(revoke(&store, &token).await.expect("revokes").max_lease, LEASE);
    let left = rows(&store).await;
    assert_eq!((left.len(), left[0].id, left[0].lease, left[0].ack), (1, ID, LEASE, None));
    let mut line = store.open_line().await.expect("a line");
    line.confirm(ID, Confirmation { position, confirmed: 2, waited_out: 1 }).await.expect("an answer");
    assert_eq!(rows(&store).await, left, "nobody confirms for a process that is gone");
    line.remove_row(ID, left[0].n + 1).await.expect("an answer");
    assert_eq!(rows(&store).await, left);
    line.remove_row(ID, left[0].n).await.expect("an answer");
    let own = ReplicaId(8);
    for n in 1..=3 {
        line.commit_row(own, n, LEASE).await.expect("an answer");
    }
    line.remove_row(own, 3).await.expect("an answer");
    store.close().await;

    let store = folder.open().await;
    assert_eq!(rows(&store).await, []);
    store.close().await;
}

/// While nothing can be written, be it that the writer is taken or that the disk is full, a replica that has its
/// row goes on: it renews, reads and confirms. One without a row can't begin.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_need_no_writer() {
    let folder = Folder::create();
    let options =
        SqliteOptions { operation_timeout: Duration::from_millis(300), ..SqliteOptions::new(folder.file()) };
    let store = SqliteStore::open(options).await.expect("opens");
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let pool = folder.pool();
    let holder = pool.begin_with("BEGIN IMMEDIATE").await.expect("begins");
    for n in 2..5 {
        assert!(!line.commit_row(ID, n, LEASE).await.expect("an answer"));
        let position = line.head().await.expect("an answer").position;
        assert_eq!(line.entries_from(position.seq, 10).await.expect("an answer").len(), 1);
        let confirmation = Confirmation { position, confirmed: 0, waited_out: 0 };
        line.confirm(ID, confirmation).await.expect("an answer");
        assert_eq!(rows(&store).await[0].n, n);
    }
    let mut other = store.open_line().await.expect("a line");
    assert!(matches!(other.commit_row(ReplicaId(8), 1, LEASE).await, Err(StoreError::Unavailable(_))));
    holder.rollback().await.expect("unlocks");
    pool.close().await;
    other.commit_row(ReplicaId(9), 1, LEASE).await.expect("an answer");
    store.close().await;
}

/// A removal that fails leaves a row that is written anew by the next renewal, and that knows of no confirmation.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_removal_is_made_good_by_the_next_renewal() {
    let folder = Folder::create();
    let store = folder.open().await;
    let mut line = store.open_line().await.expect("a line");
    let position = store.head().await.expect("an answer");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    line.confirm(ID, Confirmation { position, confirmed: 0, waited_out: 0 }).await.expect("an answer");
    folder
        .run("CREATE TRIGGER keep BEFORE DELETE ON replica BEGIN SELECT RAISE(ABORT, 'not now'); END")
        .await;
    line.remove_row(ID, 1).await.expect_err("the trigger forbids it");
    folder.run("DROP TRIGGER keep").await;
    assert_eq!(rows(&store).await, [Row { id: ID, n: 1, lease: LEASE, ack: None }]);
    assert!(line.commit_row(ID, 2, LEASE).await.expect("an answer"));
    assert_eq!(rows(&store).await, [Row { id: ID, n: 2, lease: LEASE, ack: None }]);
    line.remove_row(ID, 2).await.expect("an answer");
    assert_eq!(rows(&store).await, []);
    store.close().await;
}

/// A bell whose store is gone says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_bell_without_its_store_is_broken() {
    let folder = Folder::create();
    let store = folder.open().await;
    let mut bell = store.open_bell().await.expect("a bell");
    store.close().await;
    drop(store);
    assert!(matches!(bell.ring().await, Err(StoreError::Unavailable(_))));
}
