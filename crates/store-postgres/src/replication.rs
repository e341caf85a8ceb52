//! Whether the server replicates what it commits before it says so: for showing, as nothing here depends on it.

use std::fmt;

use sqlx::Row;

use crate::fault::Fault;
use crate::statements::Statements;

/// What a failover would do to deletes that were answered with OK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replication {
    /// No standby is waited for: a failover may lose them.
    Asynchronous,
    /// Standbys are waited for.
    Synchronous {
        /// `synchronous_standby_names`.
        names: String,
        /// How many of them are attached.
        attached: u32,
    },
    /// Standbys are to be waited for, and none is attached: nothing that is written is answered.
    Unattached {
        /// `synchronous_standby_names`.
        names: String,
    },
    /// Standbys are waited for; the role may not see whether those that are attached are the ones.
    Hidden {
        /// `synchronous_standby_names`.
        names: String,
    },
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asynchronous => f.write_str("none: a failover may lose acknowledged deletes"),
            Self::Synchronous { names, attached: 1 } => {
                write!(f, "synchronous: 1 standby attached (names: {names})")
            }
            Self::Synchronous { names, attached } => {
                write!(f, "synchronous: {attached} standbys attached (names: {names})")
            }
            Self::Unattached { names } => {
                write!(f, "configured (names: {names}), but no standby is attached: commits wait")
            }
            Self::Hidden { names } => write!(
                f,
                "configured (names: {names}); unknown whether a standby is attached: the role lacks \
                 pg_read_all_stats"
            ),
        }
    }
}

pub(crate) async fn read(connection: &mut Statements<'_>) -> Result<Replication, Fault> {
    // Without the privilege there is a row for each standby, and nothing in it.
    let row = sqlx::query(
        "SELECT current_setting('synchronous_standby_names') AS names,
                count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS attached,
                count(*) FILTER (WHERE sync_state IS NULL) AS hidden
         FROM pg_stat_replication",
    )
    .fetch_one(connection)
    .await?;
    let names: String = row.try_get("names")?;
    Ok(judge(names, row.try_get("attached")?, row.try_get("hidden")?))
}

fn judge(names: String, attached: i64, hidden: i64) -> Replication {
    if names.trim().is_empty() {
        Replication::Asynchronous
    } else if attached > 0 {
        Replication::Synchronous { names, attached: attached.try_into().unwrap_or(u32::MAX) }
    } else if hidden > 0 {
        Replication::Hidden { names }
    } else {
        Replication::Unattached { names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_known_and_no_more() {
        let said = |names: &str, attached, hidden| judge(names.to_owned(), attached, hidden).to_string();
        assert_eq!(said("", 0, 0), "none: a failover may lose acknowledged deletes");
        assert_eq!(said("ANY 1 (a, b)", 1, 0), "synchronous: 1 standby attached (names: ANY 1 (a, b))");
        assert_eq!(said("*", 2, 0), "synchronous: 2 standbys attached (names: *)");
        assert!(said("a", 0, 0).ends_with("no standby is attached: commits wait"));
        assert!(said("a", 0, 1).contains("unknown whether a standby is attached"));
    }
}
