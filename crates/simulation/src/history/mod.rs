//! What happened to tokens, as one observer saw it, and whether that keeps the promises.
//!
//! [`check`] takes a finished history, [`Checker`] one that is still going on. All times are nanoseconds of
//! *one* clock, that of the observer who calls the operations: of the simulation's true time, or of a test's
//! own process. Recording them is left to others.

mod checker;
mod report;

pub use checker::{Checker, DeleteId};
pub use report::{Report, Totals, Violation};

/// Nanoseconds on the observer's clock.
pub type Nanos = u64;

/// A token, by a number of the observer's choice.
pub type Token = u64;

/// Who checked a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A protected service, by a number of the observer's choice.
    Holder(u32),
    /// A replica, by a number of the observer's choice.
    Replica(u32),
}

/// What a check said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The token is good.
    Accepted,
    /// The token is unknown or revoked.
    Rejected,
    /// Neither can be said now (UNAVAILABLE, a timeout, a broken connection). Never a violation.
    CannotTell,
}

/// One check of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// The token.
    pub token: Token,
    /// Who was asked.
    pub place: Place,
    /// When the observer asked.
    pub invoked: Nanos,
    /// When the observer had the answer.
    pub returned: Nanos,
    /// What it was.
    pub answer: Answer,
}

/// One operation of a finished history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A CreateToken that returned OK. (Of one that did not, nobody knows the token.)
    Create {
        /// The token.
        token: Token,
        /// When it returned.
        returned: Nanos,
    },
    /// A DeleteToken.
    Delete {
        /// The token.
        token: Token,
        /// When it was called.
        invoked: Nanos,
        /// When it returned, and whether with OK; nothing if it never did. What failed may still be in force.
        returned: Option<(Nanos, bool)>,
    },
    /// A check.
    Check(Check),
    /// Whatever happened to this token is outside the promises: an operator restored a backup that is older
    /// than it, for example.
    Outside {
        /// The token.
        token: Token,
    },
}

/// What the store says of a token when everything is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Final {
    /// It is good.
    Live,
    /// It was deleted.
    Revoked,
    /// It is not there.
    Absent,
}

/// Checks a finished history; the operations may come in any order.
///
/// `end` reads the store after the last operation: it is asked once for each token.
pub fn check(
    operations: impl IntoIterator<Item = Operation>,
    probe_window: Nanos,
    end: impl FnMut(Token) -> Final,
) -> Report {
    let mut deletes = Vec::new();
    let mut checks = Vec::new();
    let mut checker = Checker::new(probe_window);
    for operation in operations {
        match operation {
            Operation::Create { token, returned } => checker.created(token, returned),
            Operation::Delete { token, invoked, returned } => deletes.push((invoked, token, returned)),
            Operation::Check(check) => checks.push(check),
            Operation::Outside { token } => checker.outside(token),
        }
    }
    for (invoked, token, returned) in deletes {
        let id = checker.delete_invoked(token, invoked);
        match returned {
            Some((at, true)) => checker.delete_returned(id, at),
            Some((at, false)) => checker.delete_failed(id, at),
            None => {}
        }
    }
    for check in checks {
        checker.checked(check);
    }
    checker.finish(end)
}

#[cfg(test)]
mod tests;
