//! What goes wrong inside this crate, and what that is to those who call it.

use gatekey_core::StoreError;
use tokio::task::JoinError;

use crate::OpenError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Nothing was asked yet.
    #[error("no connection to Postgres")]
    Connect(#[source] sqlx::Error),
    /// Nothing was asked yet.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something went wrong on this connection before.
    #[error("the connection broke before")]
    Broken,
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
        | Fault::Connect(_)
        | Fault::Open(_)
        | Fault::Broken
        | Fault::TimedOut
        | Fault::CommitWarning(_) => Kind::Unavailable,
        Fault::Task(died) if died.is_cancelled() => Kind::Unavailable,
        Fault::Sql(_) | Fault::Impossible(_) | Fault::Task(_) => Kind::Broken,
    }
}

/// By SQLSTATE: PostgreSQL documentation, appendix A. Broken is what is a fault of ours, or data that
/// can't be: nobody mends it but by another program or by another database. What an operator or the
/// machine has broken passes once it is mended, and this program goes on as it is: unavailable.
fn kind_of(code: &str) -> Kind {
    match code {
        "53100" => Kind::Full,
        "25006"   // read_only_sql_transaction: not the primary (any more)
        | "25P03" // idle_in_transaction_session_timeout
        | "25P04" // transaction_timeout
        | "3D000" // invalid_catalog_name: the database was renamed or dropped
        | "3F000" // invalid_schema_name
        | "40001" // serialization_failure
        | "40003" // statement_completion_unknown
        | "40P01" // deadlock_detected
        | "42501" // insufficient_privilege: something was revoked, or not granted yet that a newer program needs
        | "42P01" // undefined_table: a restore is under way, or another search_path was set
        | "42P10" // invalid_column_reference: ON CONFLICT, while a restore has yet to make its index
        | "54000" // program_limit_exceeded: no transaction ids until a VACUUM; our rows are within all limits
        | "55000" // object_not_in_prerequisite_state: a publication without a replica identity, for one
        | "55006" // object_in_use
        | "55P03" // lock_not_available: the lock timeout
        | "72000" // snapshot_too_old: up to Postgres 16
        => Kind::Unavailable,
        _ => match code.get(..2) {
            Some(
                "08"   // connection exceptions
                | "28" // invalid authorization: the role, its password, pg_hba.conf
                | "53" // too few resources: too many connections, no memory
                | "57" // operator intervention: timeouts, shutdowns, a dropped database
                | "58", // errors of the system below Postgres: I/O, missing files
            ) => Kind::Unavailable,
            // Among them: what a statement of ours got wrong (22, 23, 42, 54), a schema that is none of
            // ours (42703, 42883), and corruption (XX), which must be seen and which no retry mends.
            _ => Kind::Broken,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_or_is_mended_by_an_operator_is_unavailable() {
        for code in [
            "08006", "08P01", "25006", "28000", "28P01", "3D000", "3F000", "40001", "40P01", "42501",
            "42P01", "42P10", "53200", "53300", "54000", "55000", "55006", "55P03", "57000", "57014",
            "57P01", "57P03", "57P04", "57P05", "58000", "58030", "58P01", "72000",
        ] {
            assert_eq!(kind_of(code), Kind::Unavailable, "{code}");
        }
        for fault in [
            Fault::Sql(sqlx::Error::PoolTimedOut),
            Fault::Sql(sqlx::Error::PoolClosed),
            Fault::Sql(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())),
            Fault::Connect(sqlx::Error::Protocol("whatever goes wrong before anything is asked".to_owned())),
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
        for code in [
            "", "0", "0A000", "22021", "23505", "23514", "25P02", "42601", "42703", "42883", "54001",
            "P0001", "XX000", "XX001",
        ] {
            assert_eq!(kind_of(code), Kind::Broken, "{code}");
        }
        for fault in [Fault::Impossible("no head"), Fault::Sql(sqlx::Error::RowNotFound)] {
            assert_eq!(kind(&fault), Kind::Broken, "{fault:?}");
        }
    }
}
