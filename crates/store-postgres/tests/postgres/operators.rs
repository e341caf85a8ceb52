//! What an operator gives: rights, and no more than the documentation says. And an operator who breaks something, and
//! mends it: an outage, which ends by itself.

use std::time::Duration;

use gatekey_core::{
    Action, AuditEntry, Confirmation, CreateRequest, Insertion, LeaseStore, NewToken, Outcome, RevocationLog,
    StoreError, TokenStore, Trim,
};
use gatekey_lease::{Nonce, ReplicaId, Seq};
use gatekey_model::{RequestId, TokenDigest};
use gatekey_store_postgres::{Pooler, PostgresOptions, PostgresStore, SchemaState};

use crate::database::{Database, acme, act, create, new_token, revoke};

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
    assert_recovered_but_for(store, 0).await;
}

/// Where so many tokens are left from before.
async fn assert_recovered_but_for(store: &PostgresStore, others: usize) {
    store.ping().await.expect("it has come back");
    let token = create(store).await;
    revoke(store, &token).await.expect("an answer");
    assert_eq!(store.list_tokens(&acme(), None, 10).await.expect("an answer").len(), others);
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

/// A role that has the rights of docs/postgres.md and no others can do all that a server does.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough() {
    const PAGE: &str = include_str!("../../../../docs/postgres.md");
    const ID: ReplicaId = ReplicaId(7);
    let (database, owner) = Database::migrated().await;
    owner.close().await;
    let url = database.bare_role().await;
    let grants: Vec<&str> =
        PAGE.lines().filter(|line| line.starts_with("GRANT ") && line.ends_with(" TO gatekey;")).collect();
    assert_eq!(grants.len(), 6, "{grants:?}");
    for grant in grants {
        database.grant(grant.trim_end_matches("gatekey;")).await;
    }
    let store = PostgresStore::connect(PostgresOptions::new(url)).await.expect("connects");
    store.ensure_schema().await.expect("current");
    let seen = store.examine().await.expect("an answer");
    assert!(seen.role.missing.is_empty(), "{:?}", seen.role);
    assert!(store.hears().await.expect("an answer"));
    let request = CreateRequest {
        id: RequestId::parse("0b1c8d3e-7a52-4c1e-9f43-1d2e3f405162").expect("an id"),
        payload: [1; 32],
        since: act().at,
        nonce: Nonce::from_bits(1),
    };
    let requested = || NewToken { request: Some(request), ..new_token() };
    store.insert_token(requested()).await.expect("an answer");
    let repeated = store.insert_token(requested()).await.expect("an answer");
    assert!(matches!(repeated, Insertion::Created { replaced: Some(_), .. }), "{repeated:?}");
    store.find_by_digest(&TokenDigest::of(b"any"), None).await.expect("an answer");
    let entry = AuditEntry { act: act(), action: Action::Delete, token_id: None, outcome: Outcome::Done };
    store.record_refusal(&entry).await.expect("an answer");
    let mut line = store.open_line().await.expect("a line");
    drop(store.open_bell().await.expect("a bell"));
    for n in 0..2 {
        line.commit_row(ID, n, Duration::from_secs(10)).await.expect("an answer");
    }
    let position = line.head().await.expect("an answer").position;
    line.confirm(ID, Confirmation { position, confirmed: 0, waited_out: 0 }).await.expect("an answer");
    line.rows().await.expect("an answer");
    line.entries_from(position.seq, 1).await.expect("an answer");
    let trim = Trim { before: act().at, keep: 1, limit: 10, from: Seq::GENESIS };
    store.trim_log(trim).await.expect("an answer");
    line.remove_row(ID, 1).await.expect("an answer");
    store.replication().await.expect("an answer");
    drop(line);
    assert_recovered_but_for(&store, 1).await;
    // An upgrade begins: the schema is asked whether the servers before it may go on.
    database
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', true, '\\x00', 0)",
        )
        .await;
    let newer = store.ensure_schema().await.expect("it says that this program may use it");
    assert!(matches!(newer, SchemaState::NewerCompatible { applied: 9999, .. }), "{newer:?}");
    finish(database, store).await;
}

/// What may not read the schema's state can't be started while a newer version has migrated it: that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told() {
    let (database, store) = with_role().await;
    database.run("REVOKE SELECT ON compatibility, _sqlx_migrations FROM public").await;
    let mut missing = store.examine().await.expect("an answer").role.missing;
    missing.sort_unstable();
    assert_eq!(missing, ["SELECT on _sqlx_migrations", "SELECT on compatibility"]);
    finish(database, store).await;
}

/// A LISTEN would stay on a session that the pooler hands to others.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_by_way_of_a_pooler() {
    let (database, owner) = Database::migrated().await;
    assert!(owner.hears().await.expect("an answer"));
    owner.close().await;
    let options = PostgresOptions { pooler: Pooler::Transaction, ..database.options() };
    let store = PostgresStore::connect(options).await.expect("connects");
    assert!(!store.hears().await.expect("an answer"));
    store.close().await;
    database.drop().await;
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

/// What others hold counts, although a role without `pg_read_all_stats` is not told what it is.
#[tokio::test(flavor = "multi_thread")]
async fn room_is_what_nobody_holds() {
    let (database, store) = with_role().await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(database.connection().await);
    }
    let places: i64 = sqlx::query_scalar(
        "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint",
    )
    .fetch_one(&mut others[0])
    .await
    .expect("an answer");
    let left = store.examine().await.expect("an answer").connections_left;
    assert!(left < places - 10, "{left} of {places} places are said to be free");
    for (limit, room) in [
        ("ALTER DATABASE {} CONNECTION LIMIT 15", ..=4),
        ("ALTER ROLE {} CONNECTION LIMIT 3", ..=2),
        ("ALTER DATABASE {} CONNECTION LIMIT 11", ..=0),
    ] {
        database.change(limit).await;
        let left = store.examine().await.expect("an answer").connections_left;
        assert!(room.contains(&left), "{left} are said to be free after {limit}");
    }
    // They are not for superusers.
    let owner = database.store().await;
    let seen = owner.examine().await.expect("an answer");
    assert!(seen.connections_left > 0 && owner.most_connections() == 16 + 8 + 2, "{seen:?}");
    owner.close().await;
    assert_eq!(store.most_connections(), 4 + 4 + 2);
    finish(database, store).await;
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
