//! The migrations: frozen, and refused where they don't fit.

use std::fmt::Write;
use std::path::Path;

use gatekey_core::RevocationLog;
use gatekey_store_sqlite::{OpenError, SchemaState, SqliteOptions, SqliteStore};
use sha2::{Digest, Sha256};

use crate::folder::Folder;

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
async fn opening_migrates_and_once_only() {
    let folder = Folder::create();
    let store = folder.open().await;
    assert_eq!(store.schema().await.expect("reads"), SchemaState::Current);
    let head = store.head().await.expect("an answer");
    store.migrate().await.expect("migrates again");
    assert_eq!(store.head().await.expect("an answer"), head);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_have_no_history_in_common() {
    let folders = (Folder::create(), Folder::create());
    let stores = (folders.0.open().await, folders.1.open().await);
    assert_ne!(stores.0.head().await.expect("an answer"), stores.1.head().await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_says_whether_this_program_may_use_it() {
    let folder = Folder::create();
    folder.open().await.close().await;
    folder
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', true, x'00', 0)",
        )
        .await;
    let taken = folder.open().await;
    assert!(matches!(taken.schema_before(), SchemaState::NewerCompatible { applied: 9999, .. }));
    assert!(matches!(taken.migrate().await, Ok(SchemaState::NewerCompatible { .. })));
    taken.head().await.expect("it can be used");
    taken.close().await;
    folder.run("UPDATE compatibility SET oldest_known = 9999").await;
    let state = SqliteStore::schema_of(&folder.file()).await.expect("it can be read");
    assert!(matches!(state, SchemaState::Newer { applied: 9999, .. }), "{state:?}");
    let refused = SqliteStore::open(SqliteOptions::new(folder.file())).await.err().expect("refused");
    assert!(matches!(refused, OpenError::SchemaNewer { applied: 9999, .. }), "{refused:?}");
    // A refusal holds nothing: the next attempt says the same.
    let again = SqliteStore::open(SqliteOptions::new(folder.file())).await.err().expect("refused");
    assert!(matches!(again, OpenError::SchemaNewer { .. }), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schema_is_refused() {
    let folder = Folder::create();
    folder.open().await.close().await;
    folder.run("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    let refused = SqliteStore::open(SqliteOptions::new(folder.file())).await.err().expect("refused");
    assert!(matches!(refused, OpenError::SchemaChanged { version: 1, .. }), "{refused:?}");
}
