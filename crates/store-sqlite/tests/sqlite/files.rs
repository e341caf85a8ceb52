//! The file: who may have it, where it may be, and that it keeps what it was given.

use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use gatekey_core::{RevocationLog, StoreError, TokenStore};
use gatekey_store_sqlite::{OpenError, SqliteOptions, SqliteStore};

use crate::folder::{Folder, acme, create, revoke};

async fn refused(path: impl AsRef<Path>) -> OpenError {
    SqliteStore::open(SqliteOptions::new(path.as_ref())).await.err().expect("refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_told_who_was_first() {
    let folder = Folder::create();
    let store = folder.open().await;
    let second = refused(folder.file()).await;
    assert!(matches!(second, OpenError::InUse { .. }));
    let pid = format!("pid {}, since 20", std::process::id());
    assert!(second.to_string().contains(&pid), "{second}");
    store.ping().await.expect("the first is undisturbed");
    store.close().await;
    folder.open().await.close().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn new_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::create();
    let store = folder.open().await;
    create(&store).await.expect("creates");
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        files += 1;
    }
    assert_eq!(files, 4, "the file, its lock, and two of the write-ahead log");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_named_and_left_alone() {
    let folder = Folder::create();
    for content in ["no database".to_owned(), "no database, but a long text\n".repeat(1_000)] {
        std::fs::write(folder.file(), &content).expect("writes");
        let error = refused(folder.file()).await;
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
        assert!(error.to_string().contains("gatekey.db"), "{error}");
        assert_eq!(std::fs::read_to_string(folder.file()).expect("reads"), content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_leads_nowhere_is_refused() {
    let folder = Folder::create();
    let missing = refused(folder.path().join("missing").join("gatekey.db")).await;
    assert!(matches!(missing, OpenError::Folder { .. }), "{missing:?}");
    assert!(matches!(refused("/").await, OpenError::NotAFile { .. }));
    let inner = folder.path().join("inner.db");
    std::fs::create_dir(&inner).expect("a folder");
    assert!(matches!(refused(inner).await, OpenError::File { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = Folder::create();
    let store = folder.open().await;
    let (kept, deleted) = (create(&store).await.expect("creates"), create(&store).await.expect("creates"));
    let revoked = revoke(&store, &deleted).await.expect("revokes");
    store.close().await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "the file and its lock: {left:?}");

    let store = folder.open().await;
    assert_eq!(store.list_tokens(&acme(), None, 10).await.expect("an answer"), [kept]);
    assert_eq!(store.head().await.expect("an answer"), revoked.position);
    let again = revoke(&store, &deleted).await.expect("an answer");
    assert_eq!((again.position, again.repeated), (revoked.position, true));
    // An id is not used again, whatever was removed by hand.
    folder.run("PRAGMA foreign_keys = OFF; DELETE FROM token").await;
    assert!(create(&store).await.expect("creates").id > deleted.id);
    store.close().await;
}

/// A write whose caller went away before it could begin goes on to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_outlives_its_caller() {
    let folder = Folder::create();
    let store = folder.open().await;
    let token = create(&store).await.expect("creates");
    let pool = folder.pool();
    let holder = pool.begin_with("BEGIN IMMEDIATE").await.expect("begins");
    {
        let mut call = pin!(revoke(&store, &token));
        let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    holder.rollback().await.expect("unlocks");
    pool.close().await;
    let wait = async { while store.head().await.expect("an answer").seq.get() == 0 {} };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the write was not cancelled");
    assert!(revoke(&store, &token).await.expect("an answer").repeated);
    store.close().await;
}

/// Who waits for the writer does so for its time only, and reads don't wait.
#[tokio::test(flavor = "multi_thread")]
async fn the_writer_is_waited_for_in_bounded_time() {
    let folder = Folder::create();
    let options =
        SqliteOptions { operation_timeout: Duration::from_millis(300), ..SqliteOptions::new(folder.file()) };
    let store = SqliteStore::open(options).await.expect("opens");
    let pool = folder.pool();
    let holder = pool.begin_with("BEGIN IMMEDIATE").await.expect("begins");
    assert!(matches!(create(&store).await, Err(StoreError::Unavailable(_))));
    store.ping().await.expect("an answer");
    holder.rollback().await.expect("unlocks");
    pool.close().await;
    create(&store).await.expect("creates");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_is_unavailable() {
    let folder = Folder::create();
    let store = folder.open().await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(create(&store).await, Err(StoreError::Unavailable(_))));
}
