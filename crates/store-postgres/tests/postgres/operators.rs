//! An operator breaks something, and mends it: an outage, which ends by itself.

use gatekey_core::{StoreError, TokenStore};
use gatekey_model::TokenDigest;
use gatekey_store_postgres::{PostgresOptions, PostgresStore};

use crate::database::{Database, acme, create, new_token, revoke};

/// A store whose role is not the database's owner.
async fn with_role() -> (Database, PostgresStore) {
    let (database, owner) = Database::migrated().await;
    owner.close().await;
    let options = PostgresOptions { max_connections: 4, ..database.role().await };
    let store = PostgresStore::connect(options).await.expect("connects");
    (database, store)
}

async fn finish(database: Database, store: PostgresStore) {
    store.close().await;
    database.drop().await;
    database.change("DROP ROLE {}").await;
}

/// Reads and writes, each on whatever connections there are.
async fn assert_unavailable(store: &PostgresStore) {
    for _ in 0..3 {
        let answers = [
            store.insert_token(new_token()).await.map(|_| ()),
            store.list_tokens(&acme(), None, 10).await.map(|_| ()),
            store.find_by_digest(&TokenDigest::of(b"any"), None).await.map(|_| ()),
            store.ping().await,
        ];
        for answer in answers {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
    }
}

async fn assert_recovered(store: &PostgresStore) {
    store.ping().await.expect("it has come back");
    let token = create(store).await;
    revoke(store, &token).await.expect("an answer");
    assert_eq!(store.list_tokens(&acme(), None, 10).await.expect("an answer"), []);
}

/// Breaks it, ends the connections, and mends it.
async fn breaks_and_mends(breaks: &'static str, mends: &'static str) {
    let (database, store) = with_role().await;
    store.ping().await.expect("an answer");
    database.change(breaks).await;
    database.terminate().await;
    assert_unavailable(&store).await;
    database.change(mends).await;
    assert_recovered(&store).await;
    finish(database, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_log_in() {
    breaks_and_mends("ALTER ROLE {} NOLOGIN", "ALTER ROLE {} LOGIN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_connect_to_the_database() {
    breaks_and_mends("REVOKE CONNECT ON DATABASE {} FROM public", "GRANT CONNECT ON DATABASE {} TO public")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_connections() {
    breaks_and_mends("ALTER DATABASE {} ALLOW_CONNECTIONS false", "ALTER DATABASE {} ALLOW_CONNECTIONS true")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_name() {
    let (database, store) = with_role().await;
    store.ping().await.expect("an answer");
    // Nobody may be connected to a database that is renamed, and the pool connects on its own.
    database.change("ALTER ROLE {} NOLOGIN").await;
    database.terminate().await;
    database.change("ALTER DATABASE {} RENAME TO {}_away").await;
    database.change("ALTER ROLE {} LOGIN").await;
    assert_unavailable(&store).await;
    database.change("ALTER DATABASE {}_away RENAME TO {}").await;
    assert_recovered(&store).await;
    finish(database, store).await;
}

/// While the connections stay, the statements fail.
async fn breaks_and_mends_inside(breaks: &'static str, mends: &'static str) {
    let (database, store) = with_role().await;
    let token = create(&store).await;
    database.run(breaks).await;
    assert_unavailable(&store).await;
    database.run(mends).await;
    revoke(&store, &token).await.expect("an answer");
    assert_recovered(&store).await;
    finish(database, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_that_were_revoked() {
    breaks_and_mends_inside(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM public",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO public",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_there() {
    breaks_and_mends_inside(
        "ALTER SCHEMA public RENAME TO away; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public",
        "DROP SCHEMA public; ALTER SCHEMA away RENAME TO public",
    )
    .await;
}
