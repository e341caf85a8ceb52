//! Postgres goes away, in one way or another, and comes back.

use std::time::{Duration, Instant};

use gatekey_core::{RevocationLog, StoreError, TokenStore};
use gatekey_model::TokenDigest;
use gatekey_store_postgres::{OpenError, PostgresOptions, PostgresStore};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::database::{Database, create, revoke, shared};
use crate::proxy::{Mode, Proxy};

/// Short, so that the tests are; with room for a slow machine.
fn quick(options: PostgresOptions) -> PostgresOptions {
    PostgresOptions {
        operation_timeout: Duration::from_secs(2),
        acquire_timeout: Duration::from_millis(1_800),
        max_connections: 4,
        ..options
    }
}

/// Something has set a bound, if this is not reached; how tight it is, benchmarks show.
const BOUND: Duration = Duration::from_secs(30);

/// A store by way of a proxy, and the same database without it.
async fn proxied() -> (Database, Proxy, PostgresStore) {
    let (database, direct) = Database::migrated().await;
    direct.close().await;
    let proxy = Proxy::to(&database.host, database.port).await;
    let options = PostgresOptions::new(database.url("127.0.0.1", proxy.port));
    let store = PostgresStore::connect(quick(options)).await.expect("connects");
    (database, proxy, store)
}

async fn finish(database: Database, store: PostgresStore) {
    store.close().await;
    database.drop().await;
}

/// However many connections the server has ended, one answer at the most is lost: after it no
/// connection from before is trusted.
#[tokio::test(flavor = "multi_thread")]
async fn terminated_connections_are_replaced() {
    let database = Database::create().await;
    let options = PostgresOptions { max_connections: 4, ..database.options() };
    let store = PostgresStore::connect(options).await.expect("connects");
    store.migrate().await.expect("migrates");
    for _ in 0..3 {
        let mut at_once = JoinSet::new();
        for _ in 0..8 {
            let store = shared(&store);
            at_once.spawn(async move { store.ping().await });
        }
        assert!(at_once.join_all().await.iter().all(Result::is_ok));
        database.terminate().await;
        let mut lost = 0;
        for _ in 0..9 {
            match store.ping().await {
                Ok(()) => {}
                Err(StoreError::Unavailable(_)) => lost += 1,
                Err(other) => panic!("broken: {other:?}"),
            }
        }
        assert!(lost <= 1, "{lost}");
    }
    finish(database, store).await;
}

/// While the network swallows everything, each answer is "unavailable" and in time; afterwards the
/// store works again at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_is_answered_in_time() {
    let (database, proxy, store) = proxied().await;
    let token = create(&store).await;
    proxy.set(Mode::Swallow);
    for _ in 0..2 {
        let started = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            let (reader, writer, token) = (shared(&store), shared(&store), token.clone());
            calls.spawn(
                async move { reader.find_by_digest(&TokenDigest::of(b"any"), None).await.map(|_| ()) },
            );
            calls.spawn(async move { revoke(&writer, &token).await.map(|_| ()) });
        }
        for answer in calls.join_all().await {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
        assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    }
    proxy.set(Mode::Forward);
    store.ping().await.expect("it has come back");
    assert!(!revoke(&store, &token).await.expect("an answer").repeated);
    finish(database, store).await;
}

/// A commit that never arrives: unavailable, and nothing was written. Its transaction stays open on the
/// server with its locks, until the server's own timeout ends it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_client_left_open_is_ended_by_the_server() {
    let (database, proxy, store) = proxied().await;
    let direct = database.store().await;
    let (lost, other) = (create(&store).await, create(&store).await);
    proxy.set(Mode::SwallowCommit);
    assert!(matches!(revoke(&store, &lost).await, Err(StoreError::Unavailable(_))));
    // Waits for the head's lock, for less than its own lock timeout.
    assert!(!revoke(&direct, &other).await.expect("the lock is free").repeated);
    assert_eq!(direct.head().await.expect("an answer").seq.get(), 1);
    proxy.set(Mode::Forward);
    assert!(!revoke(&store, &lost).await.expect("an answer").repeated);
    direct.close().await;
    finish(database, store).await;
}

/// A commit whose answer is lost: unavailable, as the caller can't tell, and the repeat finds it done.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_stands() {
    let (database, proxy, store) = proxied().await;
    let token = create(&store).await;
    proxy.set(Mode::SwallowAnswer);
    assert!(matches!(revoke(&store, &token).await, Err(StoreError::Unavailable(_))));
    proxy.set(Mode::Forward);
    let again = revoke(&store, &token).await.expect("an answer");
    assert!(again.repeated);
    assert_eq!(store.head().await.expect("an answer"), again.position);
    finish(database, store).await;
}

/// Nobody listens: unavailable, and in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unavailable() {
    let port =
        TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port").local_addr().expect("one").port();
    let url = format!("postgres://ada:secret@127.0.0.1:{port}/gatekey?sslmode=disable");
    let error = PostgresStore::connect(quick(PostgresOptions::new(url))).await.err().expect("nobody listens");
    assert!(matches!(error, OpenError::Connect { .. }));
    let source = std::error::Error::source(&error).expect("why").to_string();
    assert_eq!(error.to_string(), format!("cannot connect to Postgres at 127.0.0.1:{port}/gatekey"));
    assert!(!format!("{error:?} {source}").contains("secret"));
}

/// Somebody listens and says nothing: so it is with the first connection too.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let url = format!("postgres://ada@127.0.0.1:{port}/gatekey?sslmode=disable");
    let refused = PostgresStore::connect(quick(PostgresOptions::new(url))).await;
    assert!(matches!(refused, Err(OpenError::Timeout { .. })));
}
