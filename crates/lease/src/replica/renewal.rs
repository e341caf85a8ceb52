//! The renewal of a replica's lease, and its way along the log. Waking it every L/5 and on NOTIFY is left to
//! others, and so are the statements.

use std::sync::Arc;

use super::{Effect, Replica};
use crate::log::{Entry, Head};
use crate::{Digest, Moment, Rule, Seq};

/// How far a renewal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Renewal {
    Idle,
    /// Step 2: its row is being committed.
    Row {
        t0: Moment,
    },
    /// Step 3: the head is being read.
    Head {
        t0: Moment,
    },
    /// Step 4: the log is being applied up to this number.
    Log {
        t0: Moment,
        upto: Seq,
    },
    /// Its row is being committed last, which is against [`Rule::RowBeforeHead`].
    LateRow {
        t0: Moment,
    },
}

impl Replica {
    /// Step 1: begins a renewal, at `t0` = now. One that has not come to its end is given up for the new one
    /// (its connection is gone, and whatever it still answers must not be told to the replica).
    pub fn renew(&mut self, now: Moment) -> Vec<Effect> {
        if self.leaving {
            return Vec::new();
        }
        self.n += 1;
        if self.rules.keep(Rule::RowBeforeHead) {
            self.renewal = Renewal::Row { t0: now };
            vec![self.row()]
        } else {
            self.renewal = Renewal::Head { t0: now };
            vec![Effect::ReadHead]
        }
    }

    fn row(&self) -> Effect {
        // The lease is a process's for its life, so a row never says less than what is still granted.
        let lease = if self.rules.keep(Rule::RowTellsLease) { self.lease } else { self.lease / 2 };
        Effect::CommitRow { n: self.n, lease }
    }

    /// Step 2 is done: the row is visible to everyone who deletes from now on.
    ///
    /// Only *then*, as a separate statement, is the head read: either the deleter sees the row, or this
    /// replica sees the deleter's entry. `inserted`: the row was missing, and now confirms nothing.
    pub fn row_committed(&mut self, inserted: bool) -> Vec<Effect> {
        if inserted {
            self.acked = None;
        }
        match self.renewal {
            Renewal::Row { t0 } => {
                self.renewal = Renewal::Head { t0 };
                vec![Effect::ReadHead]
            }
            Renewal::LateRow { t0 } => {
                self.renewal = Renewal::Idle;
                self.lease_until = self.lease_until.max(t0.plus(self.lease));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Step 3 is done.
    pub fn head_read(&mut self, now: Moment, head: Head) -> Vec<Effect> {
        let Renewal::Head { t0 } = self.renewal else { return Vec::new() };
        let mut effects = Vec::new();
        // Lost creates leave the log unchanged: the epoch tells.
        if self.epoch.is_some_and(|epoch| epoch != head.epoch) {
            effects.extend(self.forked(now));
        }
        self.epoch = Some(head.epoch);
        self.renewal = Renewal::Log { t0, upto: head.position.seq };
        effects.extend(self.read_log(Some(head.position.seq)));
        effects
    }

    /// Whether a renewal is under way.
    #[must_use]
    pub fn renewing(&self) -> bool {
        self.renewal != Renewal::Idle
    }

    /// Looks for new entries: NOTIFY, or the poll that stands in for it. On the renewal's connection.
    pub fn wake(&mut self) -> Vec<Effect> {
        match self.renewal {
            // The renewal reads the log itself.
            Renewal::Log { .. } => Vec::new(),
            _ => self.read_log(None),
        }
    }

    fn read_log(&self, head: Option<Seq>) -> Vec<Effect> {
        self.tail.read_from(head).map(|from| Effect::ReadLog { from }).into_iter().collect()
    }

    /// The log was read from the number on that was asked for. It may be less than all; the rest is asked
    /// for again.
    ///
    /// Invariant (1), *a lease at position `h` means that all entries ≤ `h` were queued before any grant
    /// under it*, is kept here: entries go to the sessions first, and step 5 comes after.
    pub fn log_read(&mut self, now: Moment, entries: &[Entry]) -> Vec<Effect> {
        let Ok(new) = self.tail.extend(entries, self.rules) else {
            let mut effects = self.forked(now);
            effects.extend(self.renew(now));
            return effects;
        };
        let mut effects = self.apply(now, &new);
        effects.extend(self.renewed(now));
        effects.extend(self.tick(now));
        effects
    }

    /// Step 4: its own cache first, then the sessions.
    fn apply(&mut self, now: Moment, new: &[Entry]) -> Vec<Effect> {
        let mut effects = Vec::new();
        let digests: Arc<[Digest]> = new.iter().filter_map(|entry| entry.revokes).collect();
        self.flights.invalidate(&digests);
        if !digests.is_empty() {
            effects.push(Effect::Drop(digests));
        }
        effects.extend(self.sessions.invalidate(now, new));
        effects.extend(self.sessions.settle(now, &self.tail, self.epoch, None));
        effects
    }

    /// Step 5: `lease_until = t0 + L`, once the log is applied up to the head that was read.
    fn renewed(&mut self, now: Moment) -> Vec<Effect> {
        let Renewal::Log { t0, upto } = self.renewal else { return Vec::new() };
        if self.tail.newest().is_none_or(|newest| newest.seq < upto) {
            return self.read_log(Some(upto));
        }
        if !self.rules.keep(Rule::RowBeforeHead) {
            self.renewal = Renewal::LateRow { t0 };
            return vec![self.row()];
        }
        self.renewal = Renewal::Idle;
        // Reads may still go to an old primary: the lease is extended by the renewal after that.
        if !self.leaving && !self.pool.stale {
            self.lease_until = self.lease_until.max(t0.plus(self.lease));
        }
        self.sessions.settle(now, &self.tail, self.epoch, Some(self.n))
    }

    /// History forked: no lease, an empty cache, and every session begins anew once the replica knows where.
    fn forked(&mut self, now: Moment) -> Vec<Effect> {
        self.lease_until = Moment::NEVER;
        self.renewal = Renewal::Idle;
        self.epoch = None;
        self.acked = None;
        self.tail.forget();
        self.flights.reset();
        self.sessions.forked(now);
        vec![Effect::Clear]
    }

    /// The renewal connection was remade, perhaps to another primary. Nothing is asked for until
    /// [`Self::renew`]. A confirmation may have been lost with the old one, so it is made again.
    pub fn reconnected(&mut self) -> Vec<Effect> {
        self.renewal = Renewal::Idle;
        self.acked = None;
        self.pool.stale = true;
        vec![Effect::ClosePool]
    }

    /// The connections through which tokens were read are closed. Reads that were under way on them count
    /// for nothing, whatever they still answer. Renew soon: the lease was not extended meanwhile.
    ///
    /// S does not need this where every read names the position of its sending (the model holds without
    /// it); it keeps an old primary from answering at all, of tokens that it never heard of for example.
    pub fn pool_closed(&mut self) {
        self.pool.stale = false;
        self.pool.generation = self.pool.generation.wrapping_add(1);
    }
}
