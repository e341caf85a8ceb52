//! Behind a pooler in transaction mode: what fails without the switch, what holds with it, and what is found out
//! when the pooler leads elsewhere.

use std::time::Duration;

use gatekey_core::{LeaseStore, RevocationLog, StoreError, TokenStore};
use gatekey_lease::{Epoch, ReplicaId};
use gatekey_model::TokenDigest;
use gatekey_store_postgres::{OpenError, Pooler, PostgresOptions, PostgresStore};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::database::{Database, create, revoke, shared};
use crate::pooler::PgBouncer;

const LEASE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(7);

/// By way of a pooler only.
fn pooled(database: &Database, pooler: &PgBouncer) -> PostgresOptions {
    let options = PostgresOptions::new(database.url("127.0.0.1", pooler.port));
    PostgresOptions { pooler: Pooler::Transaction, ..options }
}

async fn finish(database: Database, store: PostgresStore) {
    store.close().await;
    database.drop().await;
}

/// Without the switch the pooler refuses what sqlx says at its beginning. Where it is told to let that pass, two
/// connections give their statements the same names in the one session that they share.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_it_fails() {
    let (database, direct) = Database::migrated().await;
    let pooler = PgBouncer::before(database.port);
    let url = database.url("127.0.0.1", pooler.port);
    let refused = PostgresStore::connect(PostgresOptions::new(&url)).await.err().expect("refused");
    let cause = std::error::Error::source(&refused).expect("why").to_string();
    assert!(cause.contains("extra_float_digits"), "{cause}");

    let pooler = PgBouncer::with(database.port, 1, "ignore_startup_parameters = extra_float_digits");
    let url = database.url("127.0.0.1", pooler.port);
    let (one, other) = (
        PostgresStore::connect(PostgresOptions::new(&url)).await.expect("connects"),
        PostgresStore::connect(PostgresOptions::new(&url)).await.expect("connects"),
    );
    let start = direct.head().await.expect("an answer").seq;
    let mut outcomes = Vec::new();
    // When connections are opened is up to the pools, and the pooler may begin a new session for one that failed. What both
    // stores said alike would then do for both under its one name, so each says something else.
    for _ in 0..50 {
        let both = tokio::join!(one.head(), other.entries_from(start, 1));
        outcomes.extend([both.0.map(drop), both.1.map(drop)]);
    }
    let failed = |outcome: &Result<_, StoreError>| {
        matches!(outcome, Err(StoreError::Unavailable(_) | StoreError::Broken(_)))
    };
    assert!(outcomes.iter().any(failed), "{outcomes:?}");
    one.close().await;
    other.close().await;
    finish(database, direct).await;
}

/// Many calls at once on one session, of which each has several statements: each gets its own answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_shared_by_all() {
    let (database, direct) = Database::migrated().await;
    let pooler = PgBouncer::with(database.port, 1, "");
    let store = PostgresStore::connect(pooled(&database, &pooler)).await.expect("connects");
    let mut line = store.open_line().await.expect("a line");
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let store = shared(&store);
        calls.spawn(async move {
            for _ in 0..20 {
                let token = create(&store).await;
                let before = store.head().await.expect("an answer");
                let found = store.find_by_digest(&TokenDigest::of(b"any"), Some(before)).await;
                let found = found.expect("an answer");
                assert!(found.found.is_none() && found.contains_holder);
                let position = revoke(&store, &token).await.expect("an answer").position;
                let entries = store.entries_from(position.seq, 1).await.expect("an answer");
                assert_eq!(entries[0].position, position);
                assert!(entries[0].revokes.is_some());
            }
        });
    }
    for n in 0..20 {
        assert_eq!(line.commit_row(ID, n, LEASE).await.expect("an answer"), n == 0);
        assert_eq!(line.rows().await.expect("an answer")[0].n, n);
    }
    calls.join_all().await;
    assert_eq!(store.head().await.expect("an answer").seq.get(), 160);
    finish(database, store).await;
    direct.close().await;
}

/// What a session is set up with otherwise comes with each transaction: whatever the server's defaults are, and though
/// the session belongs to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn each_transaction_brings_its_settings_along() {
    let (database, direct) = Database::migrated().await;
    database.change("ALTER DATABASE {} SET synchronous_commit = off").await;
    database.change("ALTER DATABASE {} SET default_transaction_isolation = serializable").await;
    database
        .run(
            "CREATE TABLE seen (settings text);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO seen SELECT concat_ws(' ', current_setting('synchronous_commit'),
                current_setting('transaction_isolation'), current_setting('statement_timeout'),
                current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'));
             RETURN NULL; END $$;
             CREATE TRIGGER see AFTER INSERT ON token FOR EACH ROW EXECUTE FUNCTION see()",
        )
        .await;
    let pooler = PgBouncer::with(database.port, 1, "");
    let store = PostgresStore::connect(pooled(&database, &pooler)).await.expect("connects");
    create(&store).await;
    let seen: String = sqlx::query_scalar("SELECT settings FROM seen")
        .fetch_one(&mut database.connection().await)
        .await
        .expect("reads");
    assert_eq!(seen, "on read committed 5s 3s 1s");
    finish(database, store).await;
    direct.close().await;
}

/// A lock is waited for in bounded time, and a failed call leaves nothing behind for the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transaction_disturbs_nobody() {
    let (database, direct) = Database::migrated().await;
    let pooler = PgBouncer::before(database.port);
    let options = PostgresOptions {
        lock_timeout: Duration::from_millis(100),
        max_connections: 1,
        ..pooled(&database, &pooler)
    };
    let store = PostgresStore::connect(options).await.expect("connects");
    let token = create(&store).await;
    let pool = database.pool();
    let mut holder = pool.begin().await.expect("begins");
    sqlx::query("SELECT FROM head FOR UPDATE").execute(&mut *holder).await.expect("locks");
    assert!(matches!(revoke(&store, &token).await, Err(StoreError::Unavailable(_))));
    store.ping().await.expect("an answer");
    holder.rollback().await.expect("unlocks");
    assert!(!revoke(&store, &token).await.expect("an answer").repeated);
    pool.close().await;
    finish(database, store).await;
    direct.close().await;
}

/// The pooler and the direct URL have to lead to one database; and a migration has to go past the pooler.
#[tokio::test(flavor = "multi_thread")]
async fn the_direct_way_leads_to_the_same_database() {
    let (database, direct) = Database::migrated().await;
    let other = Database::create().await;
    let pooler = PgBouncer::before(database.port);
    let past = |url| PostgresOptions { direct_url: Some(url), ..pooled(&database, &pooler) };
    let elsewhere = PostgresStore::connect(past(other.url(&other.host, other.port))).await;
    assert!(matches!(elsewhere, Err(OpenError::Elsewhere { .. })));
    let store =
        PostgresStore::connect(past(database.url(&database.host, database.port))).await.expect("connects");
    assert!(!store.shares_pooler());
    store.migrate().await.expect("past the pooler");
    store.close().await;
    let store = PostgresStore::connect(pooled(&database, &pooler)).await.expect("connects");
    assert!(store.shares_pooler());
    store.ensure_schema().await.expect("current");
    assert!(matches!(store.migrate().await, Err(OpenError::NeedsDirect)));
    other.drop().await;
    finish(database, store).await;
    direct.close().await;
}

/// A pooler that is led to another primary, under connections that stay as they are: the line breaks, so that no lease
/// rests on a row that the new primary may not have, and what is looked up says in which history it was found.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_leads_elsewhere_is_found_out() {
    let primary = Cluster::primary();
    let standby = primary.standby();
    let owner = PostgresStore::connect(PostgresOptions::new(primary.url())).await.expect("connects");
    owner.migrate().await.expect("migrates");
    let position = owner.head().await.expect("an answer");
    let pooler = PgBouncer::before(primary.port());
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", pooler.port);
    let options = PostgresOptions { pooler: Pooler::Transaction, ..PostgresOptions::new(url) };
    let store = PostgresStore::connect(options).await.expect("connects");
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    assert_eq!(line.head().await.expect("an answer").epoch, Epoch(1));
    let find = async || store.find_by_digest(&TokenDigest::of(b"any"), Some(position)).await;
    let found = find().await.expect("an answer");
    assert!(found.epoch == Epoch(1) && found.contains_holder);

    // A standby answers nobody.
    caught_up(&primary, &standby).await;
    pooler.lead_to(standby.port());
    while find().await.is_ok() {}
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    standby.promote();
    // The old primary lives.
    let found = find().await.expect("an answer");
    assert!(found.epoch == Epoch(2) && found.contains_holder, "the log is the same, and the history is not");
    let moved = line.commit_row(ID, 2, LEASE).await.expect_err("elsewhere");
    let StoreError::Unavailable(cause) = moved else { panic!("not unavailable: {moved:?}") };
    assert!(cause.to_string().contains("another primary"), "{cause}");
    assert!(matches!(line.head().await, Err(StoreError::Unavailable(_))), "a line breaks");
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 3, LEASE).await.expect("an answer");
    assert_eq!(line.head().await.expect("an answer").epoch, Epoch(2));
    owner.close().await;
    store.close().await;
}

/// Waits until the standby has all that the primary has written.
async fn caught_up(primary: &Cluster, standby: &Cluster) {
    let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
        .fetch_one(&mut primary.connection().await)
        .await
        .expect("reads");
    let mut observer = standby.connection().await;
    let replayed = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn";
    while !sqlx::query_scalar::<_, bool>(replayed)
        .bind(&written)
        .fetch_one(&mut observer)
        .await
        .expect("reads")
    {}
}
