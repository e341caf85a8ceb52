//! One process to a file: a lock on `<file>.lock`, which says who holds it.
//!
//! The lock is the operating system's and ends with its process; the text is for people only. The lock
//! file stays behind: to remove it would let two processes lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use gatekey_core::{Clock, SystemClock};

use crate::OpenError;

/// What the lock file's name has after that of the database file.
pub(crate) const LOCK: &str = ".lock";

/// The lock; held until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Locks the database file of this path, or says who has.
    pub(crate) fn acquire(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, LOCK);
        let failed = |source| OpenError::Lock { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = private(&mut options).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: database.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        sign(&mut file).map_err(failed)?;
        Ok(Self { file })
    }

    /// Gives the lock up before it is dropped.
    pub(crate) fn release(&self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock file could not be unlocked");
        }
    }
}

/// Whether a process has a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// No process has it.
    Free,
    /// One has it.
    Held {
        /// Who it is, as the lock file says.
        by: String,
    },
}

/// Whether a process has the store in this file. Leaves the lock as it is, but for the moment of looking.
///
/// # Errors
/// If the lock file can't be read.
pub fn holding(database: &Path) -> io::Result<Holding> {
    let mut file = match File::open(beside(&std::fs::canonicalize(database)?, LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holding::Free),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| Holding::Free),
        Err(TryLockError::WouldBlock) => Ok(Holding::Held { by: holder(&mut file) }),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A file beside another one: its name, and this after it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Whatever is newly made is for its owner alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn sign(file: &mut File) -> io::Result<()> {
    let text = format!("pid {}, since {}\n", std::process::id(), SystemClock.now());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

/// Who holds the lock, as they wrote it. They may be about to.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "it has not said its pid".to_owned(),
    }
}
