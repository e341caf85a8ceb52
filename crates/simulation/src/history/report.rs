//! What the checker found.

use std::fmt;

use super::{Check, Final, Nanos, Place, Token};

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// An accept was invoked after a delete of the token had returned OK.
    StaleAccept {
        /// The latest such accept.
        check: Check,
        /// The earliest return of a delete with OK.
        deleted: Nanos,
    },
    /// A check was invoked after the create had returned OK, said that the token is no good, and ended before
    /// any delete was invoked.
    FalseReject {
        /// The earliest such check.
        check: Check,
        /// When the create returned.
        created: Nanos,
    },
    /// A create returned OK, nobody deleted the token, and it is not there.
    LostCreate {
        /// The token.
        token: Token,
        /// What the store says.
        found: Final,
    },
    /// A delete returned OK, and the token is not revoked.
    LostDelete {
        /// The token.
        token: Token,
        /// What the store says.
        found: Final,
    },
}

impl Violation {
    /// The token that it happened to.
    #[must_use]
    pub const fn token(&self) -> Token {
        match self {
            Self::StaleAccept { check, .. } | Self::FalseReject { check, .. } => check.token,
            Self::LostCreate { token, .. } | Self::LostDelete { token, .. } => *token,
        }
    }
}

/// How much of what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Creates that returned OK.
    pub creates: u64,
    /// Deletes that were invoked.
    pub deletes: u64,
    /// Deletes that returned OK.
    pub deleted: u64,
    /// Checks that accepted.
    pub accepted: u64,
    /// Checks that rejected.
    pub rejected: u64,
    /// Checks that could not tell.
    pub cannot_tell: u64,
    /// Pairs of a delete and a check of the same token that was invoked while the delete was under way.
    pub races: u64,
    /// Those of them whose check accepted.
    pub accepted_races: u64,
    /// Pairs of a delete and a check that was invoked after the delete had returned OK, within the window.
    pub probes: u64,
}

impl Totals {
    /// Adds those of another history.
    pub fn add(&mut self, other: &Self) {
        self.creates += other.creates;
        self.deletes += other.deletes;
        self.deleted += other.deleted;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.cannot_tell += other.cannot_tell;
        self.races += other.races;
        self.accepted_races += other.accepted_races;
        self.probes += other.probes;
    }
}

/// What a history came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Broken promises, by token: at most one of each kind for a token.
    pub violations: Vec<Violation>,
    /// What was seen.
    pub totals: Totals,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holder(number) => write!(f, "holder {number}"),
            Self::Replica(number) => write!(f, "replica {number}"),
        }
    }
}

/// A time in seconds.
struct Seconds(Nanos);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09} s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleAccept { check, deleted } => write!(
                f,
                "stale accept: token {} at {}, invoked at {}, but its delete had returned OK at {}",
                check.token,
                check.place,
                Seconds(check.invoked),
                Seconds(*deleted)
            ),
            Self::FalseReject { check, created } => write!(
                f,
                "false reject: token {} at {}, from {} to {}, but it was created by {} and nobody had deleted it",
                check.token,
                check.place,
                Seconds(check.invoked),
                Seconds(check.returned),
                Seconds(*created)
            ),
            Self::LostCreate { token, found } => {
                write!(
                    f,
                    "lost write: token {token} was created and never deleted, and is {found:?} at the end"
                )
            }
            Self::LostDelete { token, found } => {
                write!(f, "lost write: token {token} was deleted, and is {found:?} at the end")
            }
        }
    }
}
