//! Replicas' lines and bells: connections of their own, that break for good, and disturb nobody.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use gatekey_core::{Confirmation, LeaseStore, RevocationLog, Ring, StoreError, TokenStore};
use gatekey_lease::ReplicaId;
use gatekey_model::TokenDigest;
use gatekey_store_postgres::{PostgresOptions, PostgresStore, Replication};

use crate::database::{Database, create, revoke};
use crate::proxy::{Mode, Proxy};

const LEASE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(7);

async fn connect(options: PostgresOptions) -> PostgresStore {
    PostgresStore::connect(options).await.expect("connects")
}

async fn finish(database: Database, store: PostgresStore) {
    store.close().await;
    database.drop().await;
}

/// What one process commits, another reads and hears of.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_their_rows() {
    let (database, one) = Database::migrated().await;
    let other = database.store().await;
    let mut bell = other.open_bell().await.expect("a bell");
    let mut line = one.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let token = create(&one).await;
    assert_eq!(revoke(&other, &token).await.expect("revokes").max_lease, LEASE);
    assert_eq!(bell.ring().await.expect("rings"), Ring::Revocation);
    let position = line.head().await.expect("an answer").position;
    line.confirm(ID, Confirmation { position, confirmed: 0, waited_out: 0 }).await.expect("an answer");
    assert_eq!(bell.ring().await.expect("rings"), Ring::Confirmation);
    let read = other.replica_rows(&[position]).await.expect("an answer");
    assert_eq!((read.rows, read.contained), (line.rows().await.expect("an answer"), vec![position]));
    other.open_line().await.expect("a line").remove_row(ID, 1).await.expect("an answer");
    assert_eq!(bell.ring().await.expect("rings"), Ring::Confirmation);
    assert!(line.commit_row(ID, 2, LEASE).await.expect("an answer"));
    drop((line, bell));
    other.close().await;
    finish(database, one).await;
}

/// After an answer that did not come, and after a call that was given up half-way, a line says nothing more: what
/// comes late must not be taken for another call's answer. The next line works.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_stays_broken() {
    let (database, direct) = Database::migrated().await;
    let proxy = Proxy::to(&database.host, database.port).await;
    let options = PostgresOptions::new(database.url("127.0.0.1", proxy.port));
    let store = connect(PostgresOptions { operation_timeout: Duration::from_secs(2), ..options }).await;

    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    proxy.set(Mode::Swallow);
    assert!(matches!(line.commit_row(ID, 2, LEASE).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.open_line().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.open_bell().await, Err(StoreError::Unavailable(_))));
    proxy.set(Mode::Forward);
    assert!(matches!(line.head().await, Err(StoreError::Unavailable(_))));

    let mut line = store.open_line().await.expect("a line");
    assert!(!line.commit_row(ID, 3, LEASE).await.expect("an answer"));
    {
        let mut head = pin!(line.head());
        let polled = std::future::poll_fn(|context| Poll::Ready(head.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    assert!(matches!(line.rows().await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.replica_rows(&[]).await.expect("an answer").rows[0].n, 3);
    direct.close().await;
    finish(database, store).await;
}

/// A bell whose connection was ended says so, and does not connect again in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_bell_stays_broken() {
    let (database, store) = Database::migrated().await;
    let mut bell = store.open_bell().await.expect("a bell");
    database.terminate().await;
    for _ in 0..2 {
        let rung = tokio::time::timeout(Duration::from_secs(20), bell.ring()).await;
        assert!(matches!(rung.expect("it says so"), Err(StoreError::Unavailable(_))));
    }
    let mut bell = store.open_bell().await.expect("a bell");
    let token = create(&store).await;
    revoke(&store, &token).await.expect("revokes");
    assert_eq!(bell.ring().await.expect("rings"), Ring::Revocation);
    drop(bell);
    finish(database, store).await;
}

/// A renewal ends the connections that there were, those of look-ups and those of all other calls.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_replaces_every_connection() {
    let (database, first) = Database::migrated().await;
    first.close().await;
    let store = connect(PostgresOptions { min_connections: 0, ..database.options() }).await;
    let observer = database.pool();
    let others = "SELECT array_agg(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let pids = || async {
        let pids: Option<Vec<i32>> = sqlx::query_scalar(others).fetch_one(&observer).await.expect("reads");
        pids.unwrap_or_default()
    };
    let find = || async { store.find_by_digest(&TokenDigest::of(b"any"), None).await.expect("an answer") };
    // Those of `first` may be on their way out.
    while !pids().await.is_empty() {}
    find().await;
    let old = pids().await;
    assert_eq!(old.len(), 1);
    store.ping().await.expect("an answer");
    let other: Vec<i32> = pids().await.into_iter().filter(|pid| !old.contains(pid)).collect();
    assert_eq!(other.len(), 1);
    store.renew_connections().await;
    find().await;
    store.ping().await.expect("an answer");
    while pids().await.iter().any(|pid| old.contains(pid) || other.contains(pid)) {}
    assert_eq!(pids().await.len(), 2);
    observer.close().await;
    // A store that was closed stays so.
    store.close().await;
    store.renew_connections().await;
    let late = store.find_by_digest(&TokenDigest::of(b"any"), None).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
    database.drop().await;
}

/// However many look-ups wait, for whatever reason, they keep no connection from a replica's line, and none from
/// other calls.
#[tokio::test(flavor = "multi_thread")]
async fn look_ups_that_wait_cost_no_lease() {
    let (database, first) = Database::migrated().await;
    let store = connect(PostgresOptions { max_connections: 2, ..database.options() }).await;
    let mut line = store.open_line().await.expect("a line");
    let pool = database.pool();
    let mut holder = pool.begin().await.expect("begins");
    sqlx::query("LOCK TABLE token IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.expect("locks");
    let mut finds = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        finds.spawn(async move { store.find_by_digest(&TokenDigest::of(b"any"), None).await.map(|_| ()) });
    }
    let observer = database.connection().await;
    until_waiting(observer, 2).await;
    for n in 1..5 {
        line.commit_row(ID, n, LEASE).await.expect("an answer");
        line.head().await.expect("an answer");
        store.ping().await.expect("an answer");
        store.replica_rows(&[]).await.expect("an answer");
    }
    holder.rollback().await.expect("unlocks");
    assert!(finds.join_all().await.iter().all(Result::is_ok));
    pool.close().await;
    first.close().await;
    finish(database, store).await;
}

async fn until_waiting(mut observer: sqlx::PgConnection, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut observer).await.expect("reads") < count {}
}

/// A role that may do no more than use the tables can do all this.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_needs_no_privileges() {
    let (database, owner) = Database::migrated().await;
    owner.close().await;
    let store = connect(database.role().await).await;
    let mut line = store.open_line().await.expect("a line");
    let mut bell = store.open_bell().await.expect("a bell");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let position = line.head().await.expect("an answer").position;
    assert_eq!(store.head().await.expect("an answer"), position);
    line.confirm(ID, Confirmation { position, confirmed: 0, waited_out: 0 }).await.expect("an answer");
    assert_eq!(bell.ring().await.expect("rings"), Ring::Confirmation);
    line.remove_row(ID, 1).await.expect("an answer");
    assert_eq!(store.replication().await.expect("an answer"), Replication::Asynchronous);
    drop((line, bell));
    finish(database, store).await;
    // The role goes with the server, which is thrown away.
}
