//! One file has one lock, by whatever names it goes.

use std::fs::{hard_link, remove_file, rename};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use gatekey_core::TokenStore;
use gatekey_store_sqlite::{OpenError, SqliteOptions, SqliteStore};
use tokio::task::JoinSet;

use crate::folder::{Folder, acme, create};

async fn open(path: PathBuf) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(SqliteOptions::new(path)).await
}

async fn refused(path: PathBuf) -> OpenError {
    open(path).await.err().expect("refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_the_same_lock() {
    let folder = Folder::create();
    let store = folder.open().await;
    let link = folder.path().join("link.db");
    symlink(folder.file(), &link).expect("links");
    assert!(matches!(refused(link).await, OpenError::InUse { .. }));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_what_is_not_there_yet_makes_that() {
    let folder = Folder::create();
    let (first, link) = (folder.path().join("first.db"), folder.path().join("link.db"));
    symlink("link.db", &first).expect("links");
    symlink("gatekey.db", &link).expect("links");
    let store = open(first.clone()).await.expect("opens");
    assert_eq!(store.path(), folder.file().canonicalize().expect("it was made"));
    let mode = folder.file().metadata().expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for name in [folder.file(), link, first] {
        assert!(matches!(refused(name).await, OpenError::InUse { .. }));
    }
    let token = create(&store).await.expect("creates");
    store.close().await;
    let store = folder.open().await;
    assert_eq!(store.list_tokens(&acme(), None, 10).await.expect("an answer"), [token]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_make_it_at_once_by_different_names_one_has_it() {
    let folder = Folder::create();
    let mut at_once = JoinSet::new();
    for number in 0..8 {
        let link = folder.path().join(format!("link{number}.db"));
        symlink(folder.file(), &link).expect("links");
        at_once.spawn(open(link));
    }
    let (stores, refused): (Vec<_>, Vec<_>) = at_once.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(stores.len(), 1);
    assert!(refused.iter().all(|refused| matches!(refused, Err(OpenError::InUse { .. }))));
    for store in stores.into_iter().flatten() {
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_into_a_folder_that_is_missing_is_refused() {
    let folder = Folder::create();
    symlink("missing/gatekey.db", folder.file()).expect("links");
    assert!(matches!(refused(folder.file()).await, OpenError::File { .. }));
    remove_file(folder.file()).expect("removes");
    symlink("gatekey.db", folder.file()).expect("links");
    assert!(matches!(refused(folder.file()).await, OpenError::File { .. }));
}

/// Two names of one file would have two locks, and two write-ahead logs.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_second_name_is_refused() {
    let folder = Folder::create();
    let other = folder.path().join("other.db");
    let store = folder.open().await;
    hard_link(folder.file(), &other).expect("links");
    let error = refused(other.clone()).await;
    assert!(matches!(error, OpenError::HardLinks { links: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("remove"), "{error}");
    let token = create(&store).await.expect("the first is undisturbed");
    store.close().await;
    // By its first name too: nobody can tell which of them others use.
    assert!(matches!(refused(folder.file()).await, OpenError::HardLinks { .. }));
    remove_file(&other).expect("removes");
    let store = folder.open().await;
    assert_eq!(store.list_tokens(&acme(), None, 10).await.expect("an answer"), [token]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_moved_goes_by_its_new_name() {
    let folder = Folder::create();
    let moved = folder.path().join("moved.db");
    folder.open().await.close().await;
    rename(folder.file(), &moved).expect("moves");
    symlink(&moved, folder.file()).expect("links");
    let store = folder.open().await;
    assert_eq!(store.path(), moved.canonicalize().expect("it is there"));
    assert!(matches!(refused(moved).await, OpenError::InUse { .. }));
    store.close().await;
}

/// A process loses all of its locks on a file when it closes the file once, however it had opened it.
/// SQLite's own keep other programs from tidying up the write-ahead log under the store.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_takes_no_lock_away() {
    use std::os::unix::fs::MetadataExt;

    let folder = Folder::create();
    let store = folder.open().await;
    create(&store).await.expect("creates");
    let inode = folder.file().metadata().expect("the file").ino();
    let locks = || {
        let all = std::fs::read_to_string("/proc/locks").expect("the locks");
        all.lines().filter(|line| line.contains("POSIX") && line.contains(&format!(":{inode} "))).count()
    };
    assert!(locks() > 0);
    let other = folder.path().join("other.db");
    symlink(folder.file(), &other).expect("links");
    for name in [folder.file(), other] {
        assert!(matches!(refused(name).await, OpenError::InUse { .. }));
        assert!(locks() > 0);
    }
    store.close().await;
}
