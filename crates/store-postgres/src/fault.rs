//! What goes wrong inside this crate, and what that is to those who call it.

use gatekey_core::StoreError;
use tokio::task::JoinError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("no answer within the operation's time")]
    TimedOut,
    /// Postgres says "success" of a commit whose replication was cancelled, and warns.
    #[error("the commit came back with a warning: {0}")]
    CommitWarning(String),
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

/// Whether the fault may be of the connection, and not of what was asked.
pub(crate) fn is_unavailable(fault: &Fault) -> bool {
    kind(fault) == Kind::Unavailable
}

fn kind(fault: &Fault) -> Kind {
    match fault {
        Fault::Sql(sqlx::Error::Database(error)) => error.code().map_or(Kind::Broken, |code| kind_of(&code)),
        Fault::Sql(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed,
        )
        | Fault::TimedOut
        | Fault::CommitWarning(_) => Kind::Unavailable,
        Fault::Task(died) if died.is_cancelled() => Kind::Unavailable,
        Fault::Sql(_) | Fault::Impossible(_) | Fault::Task(_) => Kind::Broken,
    }
}

/// By SQLSTATE: PostgreSQL documentation, appendix A.
fn kind_of(code: &str) -> Kind {
    match code {
        "53100" => Kind::Full,
        "25006"   // read_only_sql_transaction: not the primary (any more)
        | "25P03" // idle_in_transaction_session_timeout
        | "25P04" // transaction_timeout
        | "40001" // serialization_failure
        | "40003" // statement_completion_unknown
        | "40P01" // deadlock_detected
        | "55P03" // lock_not_available: the lock timeout
        | "57014" // query_canceled: the statement timeout, or an administrator
        | "57P01" // admin_shutdown
        | "57P02" // crash_shutdown
        | "57P03" // cannot_connect_now
        | "57P05" // idle_session_timeout
        | "58030" // io_error
        => Kind::Unavailable,
        // Connection exceptions, and too few resources (too many connections, no memory).
        _ if code.starts_with("08") || code.starts_with("53") => Kind::Unavailable,
        _ => Kind::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        for code in ["08006", "08P01", "25006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P03"]
        {
            assert_eq!(kind_of(code), Kind::Unavailable, "{code}");
        }
        for fault in [
            Fault::Sql(sqlx::Error::PoolTimedOut),
            Fault::Sql(sqlx::Error::PoolClosed),
            Fault::Sql(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())),
            Fault::TimedOut,
            Fault::CommitWarning("canceling wait for synchronous replication".to_owned()),
        ] {
            assert_eq!(kind(&fault), Kind::Unavailable, "{fault:?}");
        }
    }

    #[test]
    fn a_full_disk_is_full() {
        assert_eq!(kind_of("53100"), Kind::Full);
    }

    #[test]
    fn the_rest_is_broken() {
        for code in ["22021", "23505", "23514", "28P01", "3D000", "42501", "42P01", "XX000"] {
            assert_eq!(kind_of(code), Kind::Broken, "{code}");
        }
        for fault in [Fault::Impossible("no head"), Fault::Sql(sqlx::Error::RowNotFound)] {
            assert_eq!(kind(&fault), Kind::Broken, "{fault:?}");
        }
    }
}
