//! The migrations: frozen, safe to run at once, and refused where they don't fit.

use std::fmt::Write;
use std::path::Path;

use gatekey_core::RevocationLog;
use gatekey_store_postgres::{OpenError, SchemaState};
use sha2::{Digest, Sha256};

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
