//! The migrations: frozen, safe to run at once, and refused where they don't fit.

use std::fmt::Write;
use std::path::Path;

use gatekey_core::RevocationLog;
use gatekey_store_postgres::{OpenError, SchemaState};
use sha2::{Digest, Sha256};
use sqlx::Connection;
use sqlx::migrate::{Migrate, Migrator};

use crate::database::{Database, shared};

/// Every migration is in `FROZEN` with its checksum, as `sha256sum *.sql` prints it, and unchanged.
#[test]
fn migrations_are_frozen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|is| is == "sql")).collect();
    files.sort();
    let mut listed = String::new();
    for file in files {
        for byte in Sha256::digest(std::fs::read(&file).expect("a migration")) {
            write!(listed, "{byte:02x}").expect("a string takes it");
        }
        writeln!(listed, "  {}", file.file_name().expect("a name").display()).expect("a string takes it");
    }
    assert!(!listed.is_empty());
    let frozen = std::fs::read_to_string(folder.join("FROZEN")).expect("a list");
    assert_eq!(frozen, listed, "a migration that was released never changes; a new one is added to FROZEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_and_at_once_is_migrating_once() {
    let database = Database::create().await;
    let store = shared(&database.store().await);
    assert_eq!(store.schema().await.expect("reads"), SchemaState::Behind);
    assert!(matches!(store.ensure_schema().await, Err(OpenError::SchemaBehind)));
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = shared(&store);
        at_once.spawn(async move { store.migrate().await });
    }
    for migrated in at_once.join_all().await {
        migrated.expect("migrates");
    }
    let head = store.head().await.expect("an answer");
    store.migrate().await.expect("migrates again");
    store.ensure_schema().await.expect("current");
    assert_eq!(store.head().await.expect("an answer"), head);
    store.close().await;
    database.drop().await;
}

/// The lock that whoever migrates has, as this program names it.
const LOCK: &str = "SELECT pg_advisory_lock(7449363237589842177)";

/// Before, and for as long as another one migrates, in no statement that the other might wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_another_one() {
    let database = Database::create().await;
    let store = shared(&database.store().await);
    let mut other = database.connection().await;
    sqlx::raw_sql(LOCK).execute(&mut other).await.expect("locks");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let migrating = tokio::spawn({
        let store = shared(&store);
        async move {
            store
                .migrate_and_tell(move |holder| tell.send(holder.to_owned()).expect("somebody hears it"))
                .await
        }
    });
    told.recv().await.expect("it waits");
    assert_eq!(store.schema().await.expect("reads"), SchemaState::Behind);
    other.close().await.expect("closes");
    assert_eq!(migrating.await.expect("no panic").expect("migrates"), SchemaState::Behind);
    store.ensure_schema().await.expect("current");
    store.close().await;
    database.drop().await;
}

/// A program that does not know that lock was faster, and this one's wait for the lock of both ended in an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_another_one_has_done_is_done() {
    let database = Database::create().await;
    let store = shared(&database.store().await);
    let mut other = database.connection().await;
    other.lock().await.expect("locks");
    let migrating = tokio::spawn({
        let store = shared(&store);
        async move { store.migrate().await }
    });
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                 WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut other).await.expect("reads") == 0 {
        tokio::task::yield_now().await;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let migrations = Migrator::new(folder).await.expect("the same");
    migrations.run_direct(None, &mut other, false).await.expect("migrates");
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                  WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
    sqlx::raw_sql(cancel).execute(&mut other).await.expect("cancels");
    assert_eq!(migrating.await.expect("no panic").expect("it is done"), SchemaState::Behind);
    other.close().await.expect("closes");
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_have_no_history_in_common() {
    let (first, first_store) = Database::migrated().await;
    let (second, second_store) = Database::migrated().await;
    let heads = (first_store.head().await.expect("an answer"), second_store.head().await.expect("an answer"));
    assert_ne!(heads.0, heads.1);
    for (database, store) in [(first, first_store), (second, second_store)] {
        store.close().await;
        database.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_says_whether_this_program_may_use_it() {
    let (database, store) = Database::migrated().await;
    database
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', true, '\\x00', 0)",
        )
        .await;
    for taken in [store.ensure_schema().await, store.migrate().await] {
        let taken = taken.expect("it says that this program may use it");
        assert!(matches!(taken, SchemaState::NewerCompatible { applied: 9999, .. }), "{taken:?}");
    }
    database.run("UPDATE compatibility SET oldest_known = 9999").await;
    for refused in [store.ensure_schema().await, store.migrate().await] {
        let Err(error @ OpenError::SchemaNewer { applied: 9999, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert!(error.to_string().contains("run a newer gatekey") && !error.may_pass(), "{error}");
    }
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schema_is_refused() {
    let (database, store) = Database::migrated().await;
    database.run("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await;
    for refused in [store.ensure_schema().await, store.migrate().await] {
        assert!(matches!(refused, Err(OpenError::SchemaChanged { version: 1 })), "{refused:?}");
    }
    store.close().await;
    database.drop().await;
}
