//! Claims the file for this process: finds it by whatever name it goes, makes it if there is none, and
//! locks it by the one full name that all of them lead to.
//!
//! A process that closes a file loses all of its POSIX locks on it, however it had opened it, and SQLite
//! has such locks. So a file that another store of this process may have is looked at, but never opened.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::OpenError;
use crate::file_lock::{FileLock, LOCK, beside, private};

/// How often a file that is moved or replaced meanwhile is claimed anew.
const ATTEMPTS: u32 = 3;

/// Whoever finds no file is to be the only one in this process to make it: a second one would open and
/// close it when the first may have its locks on it already.
static MAKING: Mutex<()> = Mutex::new(());

/// A file, by its one full name, and what it was when it was found.
struct Found {
    path: PathBuf,
    metadata: Metadata,
}

/// The file's one full name, and the lock that goes by it.
pub(crate) fn claim(path: &Path) -> Result<(PathBuf, FileLock), OpenError> {
    let given = in_folder(path)?;
    for _ in 0..ATTEMPTS {
        let found = find_or_make(&given)?;
        let lock = FileLock::acquire(&found.path)?;
        if is_still(&given, &found)? {
            require_writable(&found.path)?;
            return Ok((found.path, lock));
        }
    }
    Err(OpenError::Replaced { path: given })
}

/// The name as it was given, in a folder that exists.
fn in_folder(path: &Path) -> Result<PathBuf, OpenError> {
    let name = path.file_name().ok_or_else(|| OpenError::NotAFile { path: path.to_owned() })?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let missing = |source| OpenError::Folder { path: path.to_owned(), source };
    Ok(fs::canonicalize(folder).map_err(missing)?.join(name))
}

/// Finds the file, or makes it for its owner alone, be it through symbolic links: only of a file that
/// exists can be said where they lead. What SQLite puts beside it gets the same mode.
fn find_or_make(given: &Path) -> Result<Found, OpenError> {
    let failed = |source| OpenError::File { path: given.to_owned(), source };
    let _only = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = find(given).map_err(failed)? {
        return Ok(found);
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options).open(given).map_err(failed)?;
    find(given).map_err(failed)?.ok_or_else(|| OpenError::Replaced { path: given.to_owned() })
}

fn find(given: &Path) -> io::Result<Option<Found>> {
    let found =
        fs::canonicalize(given).and_then(|path| fs::metadata(&path).map(|metadata| Found { path, metadata }));
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the name that was given still leads to the file that was found, now that the lock is held.
/// Refuses a file that has other names, as each of them would have a lock of its own.
fn is_still(given: &Path, found: &Found) -> Result<bool, OpenError> {
    let failed = |source| OpenError::File { path: given.to_owned(), source };
    let Some(now) = find(given).map_err(failed)? else { return Ok(false) };
    if now.path != found.path || !is_same_file(&now.metadata, &found.metadata) {
        return Ok(false);
    }
    match links(&now.metadata) {
        ..=1 => Ok(true),
        links => Err(OpenError::HardLinks { path: now.path, links }),
    }
}

/// Finds out now whether the file can be written to, and what SQLite has left beside it. No store of this process has it: its
/// lock is held.
fn require_writable(path: &Path) -> Result<(), OpenError> {
    try_to_open(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    for suffix in ["-wal", "-shm"] {
        let path = beside(path, suffix);
        match try_to_open(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(OpenError::File { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn try_to_open(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).open(path).map(drop)
}

/// Whether a start could claim a file that is there, but for who else has it. Changes nothing.
///
/// Only for a process that has no store of its own in the file: that one would lose its locks.
///
/// # Errors
/// As [`crate::SqliteStore::open`] would say it.
pub fn require_claimable(path: &Path) -> Result<(), OpenError> {
    let given = in_folder(path)?;
    let failed = |source| OpenError::File { path: given.clone(), source };
    let path = fs::canonicalize(&given).map_err(failed)?;
    let lock = beside(&path, LOCK);
    match try_to_open(&lock) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(OpenError::Lock { path: lock, source });
        }
        _ => {}
    }
    require_writable(&path)
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// How many names the file has. A folder has several, and is no file that could be opened.
#[cfg(unix)]
fn links(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;

    if metadata.is_file() { metadata.nlink() } else { 1 }
}

/// Elsewhere the standard library can't tell.
#[cfg(not(unix))]
fn is_same_file(_one: &Metadata, _other: &Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn links(_metadata: &Metadata) -> u64 {
    1
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn create() -> Self {
            let random = getrandom::u64().expect("random numbers");
            let folder = std::env::temp_dir().join(format!("gatekey-claim-{random:016x}"));
            fs::create_dir(&folder).expect("a new folder");
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_replaced_meanwhile_is_not_what_was_found() {
        let folder = Folder::create();
        let (given, other) = (folder.0.join("gatekey.db"), folder.0.join("other.db"));
        let found = find_or_make(&given).expect("makes");
        assert!(is_still(&given, &found).expect("looks"));
        // By another file of the same name, while the first still exists: else the other could get its
        // number.
        fs::rename(&given, &other).expect("moves");
        assert!(!is_still(&given, &found).expect("looks"), "it has gone");
        let second = find_or_make(&given).expect("makes");
        assert!(!is_still(&given, &found).expect("looks"), "it is another");
        assert!(is_still(&given, &second).expect("looks"));
        // By a link to the file itself, which has another name then.
        fs::rename(&other, &given).expect("moves");
        assert!(is_still(&given, &found).expect("looks"));
        fs::rename(&given, &other).expect("moves");
        symlink(&other, &given).expect("links");
        assert!(!is_still(&given, &found).expect("looks"), "its lock would go by another name");
    }

    /// A folder can't be written to by anybody, not even by root.
    #[test]
    fn whatever_a_start_writes_to_is_tried() {
        let folder = Folder::create();
        let path = folder.0.join("gatekey.db");
        assert!(matches!(require_claimable(&path), Err(OpenError::File { .. })));
        fs::write(&path, "").expect("writes");
        require_claimable(&path).expect("nothing is beside it yet");
        let left = fs::read_dir(&folder.0).expect("a folder").count();
        assert_eq!(left, 1, "it makes nothing");
        for suffix in ["-wal", "-shm", LOCK] {
            let odd = beside(&path, suffix);
            fs::create_dir(&odd).expect("a new folder");
            let (said, start) =
                (require_claimable(&path).expect_err(suffix), claim(&path).expect_err(suffix));
            assert_eq!(said.to_string(), start.to_string());
            assert!(said.to_string().ends_with(odd.to_str().expect("text")), "{said}");
            fs::remove_dir(&odd).expect("removes");
            if suffix != LOCK {
                fs::remove_file(beside(&path, LOCK)).expect("the start has made it");
            }
        }
        assert!(matches!(require_claimable(&folder.0), Err(OpenError::File { .. })));
    }

    #[test]
    fn a_second_name_that_came_meanwhile_is_refused() {
        let folder = Folder::create();
        let given = folder.0.join("gatekey.db");
        let found = find_or_make(&given).expect("makes");
        fs::hard_link(&given, folder.0.join("other.db")).expect("links");
        assert!(matches!(is_still(&given, &found), Err(OpenError::HardLinks { links: 2, .. })));
    }
}
