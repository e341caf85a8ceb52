//! Opens the file: claims it for this process, and connects one writer and the readers.

use std::path::{Path, PathBuf};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::bounded::Bounded;
use crate::claim::claim;
use crate::fault::is_not_a_database;
use crate::file_lock::FileLock;
use crate::schema::{self, SchemaState};
use crate::{OpenError, SqliteOptions};

const READERS: u32 = 4;

pub(crate) async fn open(
    options: &SqliteOptions,
) -> Result<(PathBuf, FileLock, Bounded, SchemaState), OpenError> {
    let (path, lock) = claim(&options.path)?;
    let writer = connect_writer(&path, options).await?;
    let before = schema::migrate(&writer, &path).await?;
    let readers = connect_readers(&path, options, READERS).await?;
    let line_reader = connect_readers(&path, options, 1).await?;
    Ok((path, lock, Bounded { writer, readers, line_reader, limit: options.operation_timeout }, before))
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

async fn connect_readers(
    path: &Path,
    options: &SqliteOptions,
    readers: u32,
) -> Result<SqlitePool, OpenError> {
    connect_pool(path, pool_options(options, readers), connect_options(path, options).read_only(true)).await
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
