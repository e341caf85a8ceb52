//! The way to the server: whether a session on it is ours for as long as its connection lives, or a pooler hands
//! each transaction to whichever session is free. How statements are run on either is in [`crate::statements`].

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection, Row, SqlSafeStr, SqlStr};

use crate::PostgresOptions;

/// The server's timeline, as the first digits of the name of the file that it writes its log to. On a standby,
/// which writes none, the statement fails.
const TIMELINE: &str = "SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline";

/// How transactions are begun, and statements prepared.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// The session is ours: it was set up once, and keeps what is prepared on it.
    Direct,
    /// A pooler in transaction mode stands between. Nothing outlasts a transaction.
    Pooled {
        /// Begins a transaction, with all that a session is set up with otherwise.
        begin: Arc<str>,
        /// Where every transaction has to be, if they have to be in one history.
        timeline: Option<u32>,
    },
}

impl Way {
    pub(crate) fn pooled(options: &PostgresOptions) -> Self {
        let Limits { statement, idle_in_transaction, lock } = Limits::of(options);
        // The last statement fails on a standby, to which a pooler may lead any time. An old primary that became one
        // would answer from the past.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             SET LOCAL statement_timeout = {statement}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle_in_transaction}; \
             SET LOCAL lock_timeout = {lock}; \
             SET LOCAL synchronous_commit = on; \
             SELECT pg_current_wal_insert_lsn()"
        );
        Self::Pooled { begin: begin.into(), timeline: None }
    }

    /// What begins a transaction, if it is more than BEGIN.
    pub(crate) fn begin(&self) -> Option<SqlStr> {
        match self {
            Self::Direct => None,
            // Made of numbers, above.
            Self::Pooled { begin, .. } => Some(AssertSqlSafe(Arc::clone(begin)).into_sql_str()),
        }
    }

    pub(crate) const fn is_pooled(&self) -> bool {
        matches!(self, Self::Pooled { .. })
    }

    /// The same, for transactions on this timeline only.
    pub(crate) fn bound_to(self, timeline: u32) -> Self {
        match self {
            Self::Direct => Self::Direct,
            Self::Pooled { begin, .. } => Self::Pooled { begin, timeline: Some(timeline) },
        }
    }

    /// Fails if the transaction that has just begun is on another timeline than it has to be.
    pub(crate) async fn check(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let Self::Pooled { timeline: Some(expected), .. } = self else { return Ok(()) };
        if read_timeline(connection).await? == *expected { Ok(()) } else { Err(other(Elsewhere)) }
    }
}

/// The pooler was led to another primary since.
#[derive(Debug, thiserror::Error)]
#[error("the pooler leads to another primary than before")]
struct Elsewhere;

/// In one message: good on any way.
pub(crate) async fn read_timeline(connection: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let row = sqlx::raw_sql(TIMELINE).fetch_one(connection).await?;
    timeline(row.try_get("timeline")?).map_err(other)
}

pub(crate) fn timeline(digits: &str) -> Result<u32, std::num::ParseIntError> {
    u32::from_str_radix(digits, 16)
}

fn other(cause: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(cause))
}

/// The timeouts of every session, in milliseconds. They end on the server what a client that is out of reach has
/// left behind there; none of them cancels a commit that has begun (measured).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) statement: u128,
    pub(crate) idle_in_transaction: u128,
    pub(crate) lock: u128,
}

impl Limits {
    pub(crate) fn of(options: &PostgresOptions) -> Self {
        Self {
            statement: options.operation_timeout.as_millis(),
            // Nobody who runs is idle in a transaction for as long. One who stands still holds locks that all
            // others wait for, and is to lose them before they give up.
            idle_in_transaction: (options.lock_timeout / 3).as_millis().max(1),
            lock: options.lock_timeout.as_millis(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooled_transaction_brings_its_settings_along() {
        let options = PostgresOptions::new("postgres://db/gatekey");
        let begin = Way::pooled(&options).begin().expect("more than BEGIN");
        for part in ["statement_timeout = 5000;", "lock_timeout = 3000;", "session_timeout = 1000;"] {
            assert!(begin.as_str().contains(part), "{part}");
        }
        assert!(Way::Direct.begin().is_none());
    }

    #[test]
    fn a_timeline_is_read_from_its_digits() {
        assert_eq!(timeline("0000000A"), Ok(10));
        assert!(timeline("").is_err());
    }
}
