//! Opens the file: finds it, locks it, makes it if it isn't there, and connects one writer and the readers.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::bounded::Bounded;
use crate::fault::is_not_a_database;
use crate::file_lock::{FileLock, private};
use crate::{OpenError, SqliteOptions, schema};

const READERS: u32 = 4;

pub(crate) async fn open(options: &SqliteOptions) -> Result<(PathBuf, FileLock, Bounded), OpenError> {
    let path = resolve(&options.path)?;
    let lock = FileLock::acquire(&path)?;
    make(&path)?;
    let writer = connect_writer(&path, options).await?;
    schema::migrate(&writer, &path).await?;
    let readers = connect_readers(&path, options).await?;
    Ok((path, lock, Bounded { writer, readers, limit: options.operation_timeout }))
}

/// The file's one name, so that it has one lock file, by whatever way it is reached.
fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let name = path.file_name().ok_or_else(|| OpenError::NotAFile { path: path.to_owned() })?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let missing = |source| OpenError::Folder { path: path.to_owned(), source };
    let path = fs::canonicalize(folder).map_err(missing)?.join(name);
    // If it is a symbolic link, what it leads to; if it doesn't exist yet, where it will be.
    Ok(fs::canonicalize(&path).unwrap_or(path))
}

/// Makes the file if there is none, for its owner alone. What SQLite puts beside it gets the same mode.
fn make(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let made = private(&mut options).open(path);
    made.map(drop).map_err(|source| OpenError::File { path: path.to_owned(), source })
}

async fn connect_writer(path: &Path, options: &SqliteOptions) -> Result<SqlitePool, OpenError> {
    // FULL: a commit that was answered is on the disk, whatever becomes of the machine.
    let mut connect = connect_options(path, options)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    if let Some(pages) = options.max_page_count {
        connect = connect.pragma("max_page_count", pages.to_string());
    }
    connect_pool(path, pool_options(options, 1), connect).await
}

async fn connect_readers(path: &Path, options: &SqliteOptions) -> Result<SqlitePool, OpenError> {
    connect_pool(path, pool_options(options, READERS), connect_options(path, options).read_only(true)).await
}

fn connect_options(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(options.operation_timeout)
}

/// A connection to a file costs nothing to keep: none is ever closed for its age.
fn pool_options(options: &SqliteOptions, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.operation_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
}

async fn connect_pool(
    path: &Path,
    pool: SqlitePoolOptions,
    connect: SqliteConnectOptions,
) -> Result<SqlitePool, OpenError> {
    let path = path.to_owned();
    pool.connect_with(connect).await.map_err(|source| {
        if is_not_a_database(&source) {
            OpenError::NotADatabase { path }
        } else {
            OpenError::Open { path, source }
        }
    })
}
