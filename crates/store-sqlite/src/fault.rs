//! What goes wrong inside this crate, and what that is to those who call it.

use gatekey_core::StoreError;
use tokio::task::JoinError;

/// SQLITE_NOTADB: <https://www.sqlite.org/rescode.html>.
const NOT_A_DATABASE: i32 = 26;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Nobody is left who could ring.
    #[error("the store is gone")]
    Gone,
    #[error("no answer within the operation's time")]
    TimedOut,
    #[error("a row that can't be: {0}")]
    Impossible(&'static str),
    #[error("the write's task ended early")]
    Task(#[source] JoinError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Full,
    Broken,
}

/// What a fault is to the callers of the store.
pub(crate) fn store_error(fault: Fault) -> StoreError {
    match kind(&fault) {
        Kind::Unavailable => StoreError::Unavailable(Box::new(fault)),
        Kind::Full => StoreError::Full(Box::new(fault)),
        Kind::Broken => StoreError::Broken(Box::new(fault)),
    }
}

/// Whether SQLite says that the file is none of its own.
pub(crate) fn is_not_a_database(error: &sqlx::Error) -> bool {
    result_code(error) == Some(NOT_A_DATABASE)
}

fn kind(fault: &Fault) -> Kind {
    match fault {
        Fault::Sql(error @ sqlx::Error::Database(_)) => result_code(error).map_or(Kind::Broken, kind_of),
        Fault::Sql(
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed,
        )
        | Fault::Gone
        | Fault::TimedOut => Kind::Unavailable,
        Fault::Task(died) if died.is_cancelled() => Kind::Unavailable,
        Fault::Sql(_) | Fault::Impossible(_) | Fault::Task(_) => Kind::Broken,
    }
}

/// The result code of an error, without what an extended code adds in its higher bytes.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// By result code: <https://www.sqlite.org/rescode.html>.
fn kind_of(code: i32) -> Kind {
    match code {
        13 => Kind::Full,
        5    // SQLITE_BUSY
        | 6  // SQLITE_LOCKED
        | 7  // SQLITE_NOMEM
        | 8  // SQLITE_READONLY: the disk was remounted so, for example
        | 9  // SQLITE_INTERRUPT
        | 10 // SQLITE_IOERR
        | 14 // SQLITE_CANTOPEN: too many open files, for example
        | 15 // SQLITE_PROTOCOL: the lock of the write-ahead log
        => Kind::Unavailable,
        _ => Kind::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        for code in [5, 6, 8, 10, 14] {
            assert_eq!(kind_of(code), Kind::Unavailable, "{code}");
        }
        for fault in
            [Fault::Sql(sqlx::Error::PoolTimedOut), Fault::Sql(sqlx::Error::PoolClosed), Fault::TimedOut]
        {
            assert_eq!(kind(&fault), Kind::Unavailable, "{fault:?}");
        }
    }

    #[test]
    fn a_full_disk_is_full() {
        assert_eq!(kind_of(13), Kind::Full);
    }

    #[test]
    fn the_rest_is_broken() {
        for code in [1, 11, 19, 26] {
            assert_eq!(kind_of(code), Kind::Broken, "{code}");
        }
        for fault in [Fault::Impossible("no head"), Fault::Sql(sqlx::Error::RowNotFound)] {
            assert_eq!(kind(&fault), Kind::Broken, "{fault:?}");
        }
    }
}
