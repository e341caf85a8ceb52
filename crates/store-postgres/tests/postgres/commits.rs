//! Commits that don't go as they should.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use gatekey_core::{RevocationLog, StoreError, TokenStore};
use gatekey_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::postgres::PgListener;

use crate::database::{Database, acme, create, new_token, revoke};

/// A commit that reports success and a warning, as one does whose wait for a standby was cancelled, is
/// none to rely on. It stands, though, and a repeat finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_with_a_warning_is_not_ok() {
    let (database, store) = Database::migrated().await;
    let token = create(&store).await;
    database
        .run(
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON revocation_log
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()",
        )
        .await;
    let warned = revoke(&store, &token).await.expect_err("a warning");
    assert!(
        matches!(&warned, StoreError::Unavailable(cause) if cause.to_string().contains("canceling wait"))
    );
    assert!(revoke(&store, &token).await.expect("an answer").repeated);
    store.close().await;
    database.drop().await;
}

/// A commit that takes longer than an operation may, as with a standby that is away, is not cancelled
/// by any timeout: its caller is told "unavailable" in time, and it stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_commit_is_not_cancelled() {
    let (database, store) = Database::migrated().await;
    let token = create(&store).await;
    database
        .run(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON revocation_log
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await;
    let options = PostgresOptions { operation_timeout: Duration::from_millis(400), ..database.options() };
    let hurried = PostgresStore::connect(options).await.expect("connects");
    assert!(matches!(revoke(&hurried, &token).await, Err(StoreError::Unavailable(_))));
    // Waits for the token's lock until that commit has ended.
    assert!(revoke(&store, &token).await.expect("an answer").repeated);
    hurried.close().await;
    store.close().await;
    database.drop().await;
}

/// A write whose caller went away in the middle of it goes on to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_outlives_its_caller() {
    let (database, store) = Database::migrated().await;
    let token = create(&store).await;
    let pool = database.pool();
    let observer = database.pool();
    let mut holder = pool.begin().await.expect("begins");
    sqlx::query("SELECT FROM head FOR UPDATE").execute(&mut *holder).await.expect("locks");
    {
        let mut call = pin!(revoke(&store, &token));
        let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        // Until the write waits for the lock, in the midst of its transaction.
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                      WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let until_it_waits = async {
            // Not by the holder: within one transaction Postgres shows the same activity again and again.
            while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&observer).await.expect("reads") {}
        };
        tokio::time::timeout(Duration::from_secs(20), until_it_waits).await.expect("it runs by itself");
    }
    holder.rollback().await.expect("unlocks");
    // Waits for what is under way.
    store.close().await;
    let revoked: Option<i64> =
        sqlx::query_scalar("SELECT revoked_seq FROM token").fetch_one(&pool).await.expect("reads");
    assert_eq!(revoked, Some(1));
    observer.close().await;
    pool.close().await;
    database.drop().await;
}

/// Whoever listens is told the number of each revocation, and of nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn revocations_are_notified() {
    let (database, store) = Database::migrated().await;
    let mut listener = PgListener::connect_with(&database.pool()).await.expect("connects");
    listener.listen("gatekey_revocations").await.expect("listens");
    for number in ["1", "2"] {
        let token = create(&store).await;
        revoke(&store, &token).await.expect("revokes");
        revoke(&store, &token).await.expect("is confirmed");
        assert_eq!(listener.recv().await.expect("a notification").payload(), number);
    }
    drop(listener);
    store.close().await;
    database.drop().await;
}

/// A full disk is told apart, nothing is half-written, and what exists is still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_full() {
    let (database, store) = Database::migrated().await;
    let token = create(&store).await;
    database
        .run(
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
             CREATE TRIGGER fill BEFORE INSERT ON audit_log EXECUTE FUNCTION fill()",
        )
        .await;
    for _ in 0..3 {
        assert!(matches!(store.insert_token(new_token()).await, Err(StoreError::Full(_))));
        assert!(matches!(revoke(&store, &token).await, Err(StoreError::Full(_))));
    }
    assert_eq!(store.list_tokens(&acme(), None, 10).await.expect("an answer"), [token]);
    assert_eq!(store.head().await.expect("an answer").seq.get(), 0);
    store.close().await;
    database.drop().await;
}

/// Who waits for a lock does so for its time only, and reads don't wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_waited_for_in_bounded_time() {
    let (database, store) = Database::migrated().await;
    let token = create(&store).await;
    let options = PostgresOptions { lock_timeout: Duration::from_millis(100), ..database.options() };
    let impatient = PostgresStore::connect(options).await.expect("connects");
    let pool = database.pool();
    let mut holder = pool.begin().await.expect("begins");
    sqlx::query("SELECT FROM head FOR UPDATE").execute(&mut *holder).await.expect("locks");
    assert!(matches!(revoke(&impatient, &token).await, Err(StoreError::Unavailable(_))));
    impatient.head().await.expect("an answer");
    // A create takes no lock on the head.
    create(&impatient).await;
    holder.rollback().await.expect("unlocks");
    assert!(!revoke(&impatient, &token).await.expect("an answer").repeated);
    pool.close().await;
    impatient.close().await;
    store.close().await;
    database.drop().await;
}

/// After `close` there is nothing left on the server, and every answer is "unavailable".
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_is_unavailable() {
    let (database, store) = Database::migrated().await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.insert_token(new_token()).await, Err(StoreError::Unavailable(_))));
    database.drop().await;
}
