//! Copies the file of a store into another one, of one moment, while the store is used.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use gatekey_core::{Clock, SystemClock};
use gatekey_lease::Position;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::SqliteReader;
use crate::fault::Fault;
use crate::file_lock::{beside, private};
use crate::read;

/// What a copy leaves for whoever else writes to the disk.
const LEFT: u64 = 16 << 20;

/// How the name of a copy ends that is not whole yet.
const PARTIAL: &str = ".partial";

/// A copy that is whole and on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its size.
    pub bytes: u64,
    /// The newest revocation in it.
    pub head: Position,
}

/// Why no copy was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name.
    #[error("{path} exists already, and nothing is written over: give another name")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The copy can't be written.
    #[error("{path} can't be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is not enough room for the copy and for what a server may write meanwhile.
    #[error("{path} would leave too little room on its disk: {needed} MiB are needed, and {free} are free")]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Free, in MiB.
        free: u64,
        /// Needed, in MiB.
        needed: u64,
    },
    /// The path is no text that SQLite takes.
    #[error("the name {path} is no UTF-8")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// SQLite can't copy it: no room on the disk, for example.
    #[error("SQLite can't copy it")]
    Copy(#[source] sqlx::Error),
    /// The copy is damaged, and so is the store itself, most likely.
    #[error("the copy is damaged, and so is the store most likely: {found}")]
    Damaged {
        /// SQLite's own words.
        found: String,
    },
}

impl SqliteReader {
    /// Copies the store, as it is at one moment, into a new file that only its owner can read. The file has its name once
    /// it is whole, checked and on the disk.
    pub async fn backup(&self, copy: &Path) -> Result<Copied, BackupError> {
        let exists = || BackupError::Exists { path: copy.to_owned() };
        if copy.exists() {
            return Err(exists());
        }
        let draft = Draft::of(copy);
        let copied = self.copy(&draft.0).await?;
        // Not by renaming, which would write over a file that came meanwhile.
        fs::hard_link(&draft.0, copy).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => BackupError::Write { path: copy.to_owned(), source },
        })?;
        drop(draft);
        sync_folder(copy).map_err(|source| BackupError::Write { path: copy.to_owned(), source })?;
        Ok(copied)
    }

    /// The same, into a file that has no name any more once it is whole: it is gone when it is closed. It is made beside the
    /// store's.
    pub async fn backup_unnamed(&self) -> Result<(File, Copied), BackupError> {
        let draft = Draft::of(&self.path);
        let copied = self.copy(&draft.0).await?;
        let file = File::open(&draft.0);
        let file = file.map_err(|source| BackupError::Write { path: draft.0.clone(), source })?;
        Ok((file, copied))
    }

    async fn copy(&self, draft: &Path) -> Result<Copied, BackupError> {
        let failed = |source| BackupError::Write { path: draft.to_owned(), source };
        let name = draft.to_str().ok_or_else(|| BackupError::Name { path: draft.to_owned() })?;
        let mut connection = self.pool.acquire().await.map_err(BackupError::Copy)?;
        let size: i64 =
            sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
                .fetch_one(&mut *connection)
                .await
                .map_err(BackupError::Copy)?;
        let mut options = OpenOptions::new();
        // Made first, so that nobody else can ever read it: SQLite takes an empty file.
        drop(private(options.write(true).create_new(true)).open(draft).map_err(failed)?);
        require_room(draft, u64::try_from(size).unwrap_or(u64::MAX))?;
        sqlx::query("VACUUM INTO ?1")
            .bind(name)
            .execute(&mut *connection)
            .await
            .map_err(BackupError::Copy)?;
        let head = check(draft).await?;
        // SQLite leaves that to whoever wants it.
        let file = File::open(draft).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
        Ok(Copied { bytes: file.map_err(failed)?.len(), head })
    }
}

/// A server may write to the same disk, and can't do without.
fn require_room(draft: &Path, size: u64) -> Result<(), BackupError> {
    // Where it can't be seen, the copy tells.
    let Ok(seen) = rustix::fs::statvfs(draft) else { return Ok(()) };
    let (free, needed) = (seen.f_bavail.saturating_mul(seen.f_frsize), size.saturating_add(LEFT));
    if free < needed {
        return Err(BackupError::NoRoom {
            path: draft.to_owned(),
            free: free >> 20,
            needed: needed.div_ceil(1 << 20),
        });
    }
    Ok(())
}

/// Whether the copy is whole, and what it has.
async fn check(draft: &Path) -> Result<Position, BackupError> {
    let options = SqliteConnectOptions::new().filename(draft).read_only(true);
    let mut connection: SqliteConnection = options.connect().await.map_err(BackupError::Copy)?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut connection)
        .await
        .map_err(BackupError::Copy)?;
    if found != "ok" {
        return Err(BackupError::Damaged { found });
    }
    let head = read::head(&mut connection).await.map_err(|fault| match fault {
        Fault::Sql(source) => BackupError::Copy(source),
        other => BackupError::Damaged { found: other.to_string() },
    })?;
    connection.close().await.map_err(BackupError::Copy)?;
    Ok(head)
}

/// A copy under way. It goes with this: what is left of it is of no use, and if it was never made there is nothing.
struct Draft(PathBuf);

impl Draft {
    /// Under a name that nobody else takes, a process of the same number before this one included.
    fn of(copy: &Path) -> Self {
        let now = SystemClock.now().unix_micros();
        Self(beside(copy, &format!(".{}-{now}{PARTIAL}", std::process::id())))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// What is left beside a store of copies that were killed: as large as it, each of them, and of no use. One may be under way, too.
#[must_use]
pub fn partial_copies(file: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(OsStr::to_str)) else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_partial = |path: &PathBuf| {
        let beside = path.file_name().and_then(OsStr::to_str).and_then(|other| other.strip_prefix(name));
        beside.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(PARTIAL))
    };
    entries.filter(is_partial).collect()
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_backup_is_found() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = |name| folder.path().join(name);
        for name in ["gatekey.db", "gatekey.db-wal", "gatekey.db.7-8.partial", "other.db.7-8.partial"] {
            std::fs::write(path(name), "").expect("written");
        }
        assert_eq!(partial_copies(&path("gatekey.db")), [path("gatekey.db.7-8.partial")]);
        assert!(partial_copies(Path::new("/no/such/folder/gatekey.db")).is_empty());
    }
}
