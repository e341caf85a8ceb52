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
    /// Standbys are to be waited for, and too few are attached: nothing that is written is answered.
    Unattached {
        /// `synchronous_standby_names`.
        names: String,
        /// How many of them are attached.
        attached: u32,
        /// How many have to be.
        needed: u32,
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
            Self::Unattached { names, attached: 0, .. } => {
                write!(f, "configured (names: {names}), but no standby is attached: commits wait")
            }
            Self::Unattached { names, attached, needed } => {
                write!(
                    f,
                    "configured (names: {names}), but {attached} of {needed} standbys attached: commits wait"
                )
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
    let (attached, needed) = (u32::try_from(attached).unwrap_or(u32::MAX), needed(&names));
    if names.trim().is_empty() {
        Replication::Asynchronous
    } else if attached >= needed {
        Replication::Synchronous { names, attached }
    } else if hidden > 0 {
        Replication::Hidden { names }
    } else {
        Replication::Unattached { names, attached, needed }
    }
}

/// How many standbys a commit waits for: the number of `ANY n (…)`, `FIRST n (…)` and `n (…)`, and 1 for a mere list.
fn needed(names: &str) -> u32 {
    let Some((method, _)) = names.split_once('(') else { return 1 };
    let words: Vec<&str> = method.split_whitespace().collect();
    let number = match words.as_slice() {
        [number] => number,
        [method, number] if ["any", "first"].iter().any(|known| method.eq_ignore_ascii_case(known)) => number,
        // A name in quotation marks, with a parenthesis in it.
        _ => return 1,
    };
    number.parse().unwrap_or(1)
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
        assert!(said("ANY 2 (a, b)", 1, 1).contains("unknown whether a standby is attached"));
    }

    #[test]
    fn as_many_are_needed_as_a_commit_waits_for() {
        for (names, expected) in [
            ("ANY 2 (a, b)", 2),
            ("any 3(a, b, c)", 3),
            ("FIRST 2 (a, b)", 2),
            (" 2 (a, b) ", 2),
            ("1 (a)", 1),
            ("*", 1),
            ("a, b", 1),
            ("\"a 2 (b\"", 1),
            ("\"2 (b\", c", 1),
        ] {
            assert_eq!(needed(names), expected, "{names}");
        }
        let said = |attached| judge("2 (a, b)".to_owned(), attached, 0).to_string();
        assert!(said(0).ends_with("no standby is attached: commits wait"));
        assert_eq!(said(1), "configured (names: 2 (a, b)), but 1 of 2 standbys attached: commits wait");
        assert_eq!(said(2), "synchronous: 2 standbys attached (names: 2 (a, b))");
    }
}
