//! The checker itself: constant memory for each token and delete, and nothing for a check.

use std::collections::HashMap;

use super::{Answer, Check, Final, Nanos, Report, Token, Totals, Violation};

/// A delete that was told to the checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeleteId {
    token: Token,
    place: usize,
}

/// Checks a history while it is going on.
///
/// Tell it of each delete when it is invoked and when it returns, and of a check when it has returned. What
/// counts for violations may come in any order. Races and probes are counted when a check is told, so tell
/// those of a token after the deletes that were invoked before them.
#[derive(Clone, Debug)]
pub struct Checker {
    probe_window: Nanos,
    tokens: HashMap<Token, Known>,
    totals: Totals,
}

/// What is known of one token.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The earliest return of a create.
    created: Option<Nanos>,
    deletes: Vec<Delete>,
    /// The accept that was invoked last.
    accepted: Option<Check>,
    /// Of the rejects that were invoked after the create, the one that ended first.
    rejected: Option<Check>,
    /// Rejects that were told before the create was.
    early: Vec<Check>,
    outside: bool,
}

#[derive(Clone, Copy, Debug)]
struct Delete {
    invoked: Nanos,
    ended: Option<Nanos>,
    ok: bool,
}

impl Checker {
    /// Nothing has happened yet. A check that is invoked within the window after a delete counts as a probe.
    #[must_use]
    pub fn new(probe_window: Nanos) -> Self {
        Self { probe_window, tokens: HashMap::new(), totals: Totals::default() }
    }

    /// A create returned OK.
    pub fn created(&mut self, token: Token, returned: Nanos) {
        self.totals.creates += 1;
        let known = self.tokens.entry(token).or_default();
        known.created = Some(known.created.map_or(returned, |created| created.min(returned)));
        for check in std::mem::take(&mut known.early) {
            known.reject(check);
        }
    }

    /// A delete is called.
    pub fn delete_invoked(&mut self, token: Token, invoked: Nanos) -> DeleteId {
        self.totals.deletes += 1;
        let known = self.tokens.entry(token).or_default();
        known.deletes.push(Delete { invoked, ended: None, ok: false });
        DeleteId { token, place: known.deletes.len() - 1 }
    }

    /// A delete returned OK.
    pub fn delete_returned(&mut self, id: DeleteId, returned: Nanos) {
        self.totals.deleted += 1;
        self.end_delete(id, returned, true);
    }

    /// A delete failed, or its caller gave up: it may be in force or not.
    pub fn delete_failed(&mut self, id: DeleteId, at: Nanos) {
        self.end_delete(id, at, false);
    }

    fn end_delete(&mut self, id: DeleteId, at: Nanos, ok: bool) {
        let delete = self.tokens.get_mut(&id.token).and_then(|known| known.deletes.get_mut(id.place));
        if let Some(delete) = delete {
            delete.ended = Some(at);
            delete.ok = ok;
        }
    }

    /// A check returned.
    pub fn checked(&mut self, check: Check) {
        let known = self.tokens.entry(check.token).or_default();
        for delete in known.deletes.iter().filter(|delete| delete.invoked <= check.invoked) {
            match delete.ended {
                Some(ended) if check.invoked > ended => {
                    let soon = check.invoked - ended <= self.probe_window;
                    self.totals.probes += u64::from(delete.ok && soon);
                }
                _ => {
                    self.totals.races += 1;
                    self.totals.accepted_races += u64::from(check.answer == Answer::Accepted);
                }
            }
        }
        match check.answer {
            Answer::Accepted => {
                self.totals.accepted += 1;
                if known.accepted.is_none_or(|accepted| accepted.invoked < check.invoked) {
                    known.accepted = Some(check);
                }
            }
            Answer::Rejected => {
                self.totals.rejected += 1;
                known.reject(check);
            }
            Answer::CannotTell => self.totals.cannot_tell += 1,
        }
    }

    /// Whatever happened to this token is outside the promises.
    pub fn outside(&mut self, token: Token) {
        self.tokens.entry(token).or_default().outside = true;
    }

    /// The history is over. `end` reads the store: it is asked once for each token.
    #[must_use]
    pub fn finish(self, mut end: impl FnMut(Token) -> Final) -> Report {
        let mut tokens: Vec<(Token, Known)> = self.tokens.into_iter().collect();
        tokens.sort_unstable_by_key(|(token, _)| *token);
        let inside = tokens.iter().filter(|(_, known)| !known.outside);
        let violations = inside.flat_map(|(token, known)| known.violations(*token, end(*token))).collect();
        Report { violations, totals: self.totals }
    }
}

impl Known {
    fn reject(&mut self, check: Check) {
        let Some(created) = self.created else {
            self.early.push(check);
            return;
        };
        let first = self.rejected.is_none_or(|rejected| check.returned < rejected.returned);
        if check.invoked > created && first {
            self.rejected = Some(check);
        }
    }

    fn violations(&self, token: Token, found: Final) -> Vec<Violation> {
        let mut violations = Vec::new();
        let returned = self.deletes.iter().filter(|delete| delete.ok).filter_map(|delete| delete.ended).min();
        if let (Some(check), Some(deleted)) = (self.accepted, returned)
            && check.invoked > deleted
        {
            violations.push(Violation::StaleAccept { check, deleted });
        }
        let invoked = self.deletes.iter().map(|delete| delete.invoked).min();
        if let (Some(check), Some(created)) = (self.rejected, self.created)
            && invoked.is_none_or(|invoked| check.returned < invoked)
        {
            violations.push(Violation::FalseReject { check, created });
        }
        if self.created.is_some() && invoked.is_none() && found != Final::Live {
            violations.push(Violation::LostCreate { token, found });
        }
        if returned.is_some() && found != Final::Revoked {
            violations.push(Violation::LostDelete { token, found });
        }
        violations
    }
}
