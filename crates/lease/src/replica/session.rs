//! One session: what was granted to a holder, and what it has not confirmed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::wait_for;
use crate::{Epoch, HolderId, Moment, Position, Rule, Rules, Seq};

/// A holder on a stream of this replica. It outlives its stream until its grants are over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) holder: HolderId,
    pub(super) number: u64,
    pub(super) place: Place,
    /// The stream is not known to be broken.
    pub(super) open: bool,
    /// The last Reset on this stream.
    pub(super) resets: u64,
    /// When every grant so far is over, whatever the holder's clock does: 1.25 times each ttl.
    granted_until: Moment,
    unconfirmed: VecDeque<Unconfirmed>,
    rules: Rules,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// It was told of everything that the replica applied.
    Told,
    /// Its Hello named a position that the replica did not hold yet when it had begun `n` renewals.
    Ahead { position: Position, epoch: Epoch, n: u64 },
    /// It gets a Reset as soon as the replica stands somewhere.
    ToReset,
}

/// What was queued to a holder, and until when grants from before it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Unconfirmed {
    from: Seq,
    upto: Seq,
    /// Frozen when it was queued: later grants come after it in the queue.
    wait_until: Moment,
}

impl Session {
    pub(super) const fn new(holder: HolderId, number: u64, place: Place, rules: Rules) -> Self {
        Self {
            holder,
            number,
            place,
            open: true,
            resets: 0,
            granted_until: Moment::NEVER,
            unconfirmed: VecDeque::new(),
            rules,
        }
    }

    /// A grant of this ttl is queued now.
    pub(super) fn granted(&mut self, now: Moment, ttl: Duration) {
        self.granted_until = self.granted_until.max(now.plus(wait_for(ttl, self.rules)));
    }

    /// Revocations of these numbers are queued now (or would be, if the stream were not broken).
    pub(super) fn queued(&mut self, now: Moment, from: Seq, upto: Seq) {
        if self.granted_until <= now {
            return; // It has no grant that is older.
        }
        let wait_until = if self.rules.keep(Rule::WaitUntilRuns) { self.granted_until } else { now };
        match self.unconfirmed.back_mut() {
            Some(last) if last.wait_until == wait_until => last.upto = upto,
            _ => self.unconfirmed.push_back(Unconfirmed { from, upto, wait_until }),
        }
    }

    /// A Reset is queued now, to this number: until it is confirmed, nothing is.
    pub(super) fn reset_queued(&mut self, now: Moment, upto: Seq) {
        self.unconfirmed.clear();
        self.queued(now, Seq::GENESIS, upto);
    }

    /// The holder has dropped everything up to this number. Whether that settled anything.
    pub(super) fn acked(&mut self, upto: Seq) -> bool {
        let before = self.unconfirmed.len();
        while self.unconfirmed.front().is_some_and(|first| first.upto <= upto) {
            self.unconfirmed.pop_front();
        }
        let settled = self.unconfirmed.len() < before;
        // What came later under the same grants is still awaited, and what came before is not: else a holder that
        // is always a little behind would confirm nothing for as long as others revoke.
        match self.unconfirmed.front_mut() {
            Some(first) if first.from <= upto => {
                first.from = upto.next();
                true
            }
            _ => settled,
        }
    }

    /// Time has passed. Whether that settled anything.
    pub(super) fn tick(&mut self, now: Moment) -> bool {
        let before = self.unconfirmed.len();
        while self.unconfirmed.front().is_some_and(|first| first.wait_until <= now) {
            self.unconfirmed.pop_front();
        }
        self.unconfirmed.len() < before
    }

    /// The first number that is neither confirmed nor waited out.
    pub(super) fn first_unconfirmed(&self) -> Option<Seq> {
        self.unconfirmed.front().map(|first| first.from)
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_tick(&self) -> Option<Moment> {
        let over = (!self.open).then_some(self.granted_until);
        self.unconfirmed.front().map(|first| first.wait_until).or(over)
    }

    /// Whether no grant of this session can be in use.
    pub(super) fn over(&self, now: Moment) -> bool {
        self.granted_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * SECOND)
    }

    fn seq(number: i64) -> Seq {
        Seq::new(number).expect("not negative")
    }

    fn session() -> Session {
        Session::new(HolderId(1), 1, Place::Told, Rules::ALL)
    }

    #[test]
    fn without_a_grant_nothing_is_waited_for() {
        let mut session = session();
        session.queued(at(1), seq(1), seq(1));
        assert_eq!(session.first_unconfirmed(), None);
    }

    #[test]
    fn the_wait_is_frozen_when_the_revocation_is_queued() {
        let mut session = session();
        session.granted(at(0), Duration::from_secs(8));
        session.queued(at(1), seq(1), seq(1));
        session.granted(at(2), Duration::from_secs(8));
        session.queued(at(3), seq(2), seq(3));
        assert_eq!(session.next_tick(), Some(at(10)));
        assert!(!session.tick(Moment::from_nanos(10 * SECOND - 1)));
        assert!(session.tick(at(10)));
        assert_eq!(session.first_unconfirmed(), Some(seq(2)));
        assert!(!session.over(at(11)));
        assert!(session.acked(seq(3)));
        assert_eq!(session.first_unconfirmed(), None);
    }

    #[test]
    fn revocations_under_the_same_grants_take_no_more_memory() {
        let mut session = session();
        session.granted(at(0), Duration::from_secs(8));
        for number in 1..1000 {
            session.queued(at(1), seq(number), seq(number));
        }
        assert_eq!(session.unconfirmed.len(), 1);
        assert!(session.acked(seq(998)));
        assert_eq!(session.first_unconfirmed(), Some(seq(999)), "what is confirmed is not awaited any more");
        assert!(!session.acked(seq(998)));
        assert!(session.acked(seq(999)));
        assert_eq!(session.first_unconfirmed(), None);
    }

    #[test]
    fn a_reset_holds_everything_back() {
        let mut session = session();
        session.granted(at(0), Duration::from_secs(8));
        session.queued(at(1), seq(5), seq(5));
        session.reset_queued(at(2), seq(1));
        assert_eq!(session.first_unconfirmed(), Some(Seq::GENESIS));
        assert!(session.acked(seq(1)));
        assert_eq!(session.first_unconfirmed(), None);
    }
}
