//! A primary and a real standby of it: what is answered is on both, and an old primary is found out.

use std::time::Duration;

use gatekey_core::{Confirmation, LeaseStore, RevocationLog, StoreError, TokenStore};
use gatekey_lease::{Epoch, ReplicaId};
use gatekey_model::TokenDigest;
use gatekey_store_postgres::{OpenError, PostgresOptions, PostgresStore, Replication};
use sqlx::PgConnection;

use crate::cluster::Cluster;
use crate::database::{create, revoke};

const LEASE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(7);

async fn migrated(cluster: &Cluster) -> PostgresStore {
    let options = PostgresOptions::new(cluster.url());
    // Long enough that only a cancellation ends a wait for a standby.
    let options = PostgresOptions { operation_timeout: Duration::from_mins(1), ..options };
    let store = PostgresStore::connect(options).await.expect("connects");
    store.migrate().await.expect("migrates");
    store
}

async fn hurried(cluster: &Cluster) -> PostgresStore {
    let options = PostgresOptions::new(cluster.url());
    let options = PostgresOptions {
        operation_timeout: Duration::from_secs(2),
        acquire_timeout: Duration::from_secs(1),
        ..options
    };
    PostgresStore::connect(options).await.expect("connects")
}

/// From here on the primary waits for its standby.
async fn synchronous(primary: &Cluster) {
    primary.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'").await;
    primary.run("SELECT pg_reload_conf()").await;
    let attached = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')";
    let mut observer = primary.connection().await;
    while !sqlx::query_scalar::<_, bool>(attached).fetch_one(&mut observer).await.expect("reads") {}
}

/// Waits for a commit that waits for the standby, and cancels its wait.
async fn cancel_the_wait(mut observer: PgConnection) {
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1";
    while sqlx::query_scalar::<_, bool>(cancel).fetch_optional(&mut observer).await.expect("reads")
        != Some(true)
    {}
}

fn assert_cancelled<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let error = answer.expect_err("not replicated");
    let StoreError::Unavailable(cause) = &error else { panic!("not unavailable: {error:?}") };
    assert!(cause.to_string().contains("canceling wait for synchronous replication"), "{cause}");
}

/// While the standby is away, a commit whose wait for it is cancelled is no success, though Postgres says so: be
/// it a delete's, a replacement's or a renewal's. The connection is good for the next call, a line is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_not_replicated_is_not_ok() {
    let primary = Cluster::primary();
    let standby = primary.standby();
    let store = migrated(&primary).await;
    synchronous(&primary).await;
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let (one, other) = (create(&store).await, create(&store).await);
    revoke(&store, &one).await.expect("the standby is there");

    standby.stop();
    let (deleted, ()) = tokio::join!(revoke(&store, &other), cancel_the_wait(primary.connection().await));
    assert_cancelled(deleted);
    let (renewed, ()) =
        tokio::join!(line.commit_row(ID, 2, LEASE), cancel_the_wait(primary.connection().await));
    assert_cancelled(renewed);
    assert!(matches!(line.head().await, Err(StoreError::Unavailable(_))), "a line breaks");
    // A repeat has to be replicated as well: it says that the token is gone.
    let (again, ()) = tokio::join!(revoke(&store, &other), cancel_the_wait(primary.connection().await));
    assert_cancelled(again);
    store.find_by_digest(&TokenDigest::of(b"any"), None).await.expect("reads wait for nobody");

    standby.start();
    let again = revoke(&store, &other).await.expect("the standby is back");
    assert!(again.repeated);
    assert_eq!(store.head().await.expect("an answer"), again.position);
    let mut line = store.open_line().await.expect("a line");
    assert!(!line.commit_row(ID, 3, LEASE).await.expect("an answer"));
    store.close().await;
}

/// A confirmation waits for no standby, and the renewal after it on the same line does.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_confirmation_is_asynchronous() {
    let primary = Cluster::primary();
    let standby = primary.standby();
    migrated(&primary).await.close().await;
    synchronous(&primary).await;
    let store = hurried(&primary).await;
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let position = line.head().await.expect("an answer").position;

    standby.stop();
    line.confirm(ID, Confirmation { position, confirmed: 1, waited_out: 0 })
        .await
        .expect("it waits for nobody");
    let row = store.replica_rows(&[]).await.expect("an answer").rows[0];
    assert!(row.ack.is_some_and(|ack| ack.position == position && ack.in_log));
    assert!(matches!(line.commit_row(ID, 2, LEASE).await, Err(StoreError::Unavailable(_))), "it waits");
    // What waits is not visible yet.
    assert_eq!(store.replica_rows(&[]).await.expect("an answer").rows[0].n, 1);
    store.close().await;
}

/// What a failover would cost is said as far as it is known.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_replication_is_shown() {
    let primary = Cluster::primary();
    let standby = primary.standby();
    let store = migrated(&primary).await;
    primary.run("CREATE ROLE nobody LOGIN").await;
    let url = primary.url().replace("postgres@", "nobody@");
    let blind = PostgresStore::connect(PostgresOptions::new(url)).await.expect("connects");
    let state = || async { store.replication().await.expect("an answer") };
    let names = || "standby".to_owned();
    assert_eq!(state().await, Replication::Asynchronous);
    synchronous(&primary).await;
    assert_eq!(state().await, Replication::Synchronous { names: names(), attached: 1 });
    assert_eq!(blind.replication().await.expect("an answer"), Replication::Hidden { names: names() });
    primary.run("ALTER SYSTEM SET synchronous_standby_names = 'ANY 2 (standby, other)'").await;
    primary.run("SELECT pg_reload_conf()").await;
    let two = || "ANY 2 (standby, other)".to_owned();
    while state().await != (Replication::Unattached { names: two(), attached: 1, needed: 2 }) {}
    synchronous(&primary).await;
    standby.stop();
    while state().await != (Replication::Unattached { names: names(), attached: 0, needed: 1 }) {}
    blind.close().await;
    store.close().await;
}

/// A standby in the primary's place is refused, on every connection. Once it is promoted it is taken, and every
/// replica sees that history may have forked: the epoch has changed, though the log has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_changes_the_epoch() {
    let primary = Cluster::primary();
    let mut standby = primary.standby();
    migrated(&primary).await.close().await;
    synchronous(&primary).await;
    let store = hurried(&primary).await;
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let before = line.head().await.expect("an answer");
    assert_eq!(before.epoch, Epoch(1));

    primary.stop();
    standby.stop();
    standby.replace(&primary);
    standby.start();
    assert!(matches!(line.head().await, Err(StoreError::Unavailable(_))));
    let refused = store.open_line().await.err().expect("a standby");
    let StoreError::Unavailable(cause) = refused else { panic!("not unavailable: {refused:?}") };
    assert!(cause.to_string().contains("read-only standby"), "{cause}");
    assert!(matches!(store.open_bell().await, Err(StoreError::Unavailable(_))));
    for _ in 0..2 {
        let read = store.find_by_digest(&TokenDigest::of(b"any"), None).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    }
    let connected = PostgresStore::connect(PostgresOptions::new(standby.url())).await;
    assert!(matches!(connected, Err(OpenError::Standby { .. })));

    standby.promote();
    let mut line = store.open_line().await.expect("a line");
    let after = line.head().await.expect("an answer");
    assert_eq!((after.position, after.epoch), (before.position, Epoch(2)));
    assert!(!line.commit_row(ID, 2, LEASE).await.expect("an answer"), "the row was replicated");
    store.ping().await.expect("an answer");
    store.close().await;
}
