//! One DeleteToken, from its transaction to its answer: how long it has to wait, and for whom. The transaction
//! and the reading of rows are left to others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::wait_for;
use crate::{Moment, Position, ReplicaId, Row, Rule, Rules};

/// A DeleteToken under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deletion {
    rules: Rules,
    begun: Moment,
    deadline: Moment,
    wait: Option<Wait>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wait {
    position: Position,
    /// From when the time is counted: the acknowledgement of the commit, or the sight of the tombstone.
    since: Moment,
    until: Moment,
    /// The rows seen first after the commit; `None` until they could be read.
    awaited: Option<BTreeMap<ReplicaId, Confirmation>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Confirmation {
    Awaited,
    Confirmed {
        holders: u32,
        waited_out: u32,
    },
    /// The row is gone, so its lease is over.
    Gone,
}

/// The replica rows, as one statement read them after the commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rows {
    /// All of them.
    pub rows: Vec<Row>,
    /// Whether the log that was read with them contains the deletion's own entry.
    pub contains: bool,
}

/// What comes next for a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Wait: until the rows change, and at most until then. Read them at once, if that was not done yet.
    Wait {
        /// When to look at the clock again.
        until: Moment,
    },
    /// Return OK.
    Return(Receipt),
    /// Answer DEADLINE_EXCEEDED: the deletion is committed.
    Late {
        /// Where the revocation stands in the log.
        position: Position,
        /// How much longer it can take until it is in force everywhere.
        effective_in: Duration,
    },
    /// The log does not contain the entry any more: history forked, and nothing is known of the deletion.
    Lost,
}

/// How a revocation came into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// Where it stands in the log.
    pub position: Position,
    /// How many holders confirmed that they dropped the token.
    pub holders_confirmed: u32,
    /// How many leases were waited out, of holders or of whole replicas.
    pub leases_waited_out: u32,
    /// How long it took.
    pub elapsed: Duration,
}

impl Deletion {
    /// Begins, before the transaction does. An answer is wanted by `deadline`.
    #[must_use]
    pub const fn begin(now: Moment, deadline: Moment, rules: Rules) -> Self {
        Self { rules, begun: now, deadline, wait: None }
    }

    /// The COMMIT was acknowledged, without a warning. `max_lease` came back from the transaction's own
    /// UPDATE of the head: the wait is known even if the rows can't be read.
    pub fn committed(&mut self, now: Moment, position: Position, max_lease: Duration) -> Next {
        // A renewal whose head read came before the commit began before this moment, so its lease is dead
        // once this has passed. It may have begun after this call did.
        let since = if self.rules.keep(Rule::WaitFromCommit) { now } else { self.begun };
        self.wait_from(now, since, position, max_lease)
    }

    /// The token was deleted already, at this position, and the tombstone was seen at `now`.
    ///
    /// Whoever wrote it may still be waiting, so this waits as well, by time counted from here.
    pub fn seen(&mut self, now: Moment, position: Position, max_lease: Duration) -> Next {
        if !self.rules.keep(Rule::RepeatsWait) {
            return Next::Return(self.receipt(now, position, 0, 0));
        }
        self.wait_from(now, now, position, max_lease)
    }

    fn wait_from(&mut self, now: Moment, since: Moment, position: Position, max_lease: Duration) -> Next {
        let until = since.plus(wait_for(max_lease, self.rules));
        self.wait = Some(Wait { position, since, until, awaited: None });
        self.tick(now)
    }

    /// The rows were read, by a statement that began after the commit was acknowledged.
    ///
    /// The first reading says who is awaited. Who registers later reads the head later, and so applies the
    /// entry before it has a lease.
    pub fn rows(&mut self, now: Moment, read: &Rows) -> Next {
        let Some(wait) = &mut self.wait else { return Next::Wait { until: self.deadline } };
        if !read.contains && self.rules.keep(Rule::AckByPosition) {
            return Next::Lost;
        }
        let first = wait.awaited.is_none();
        if first {
            let largest = read.rows.iter().map(|row| row.lease).max().unwrap_or_default();
            wait.until = wait.since.plus(wait_for(largest, self.rules));
        }
        let awaited = wait
            .awaited
            .get_or_insert_with(|| read.rows.iter().map(|row| (row.id, Confirmation::Awaited)).collect());
        for (id, confirmation) in awaited.iter_mut() {
            if *confirmation == Confirmation::Awaited {
                let row = read.rows.iter().find(|row| row.id == *id);
                *confirmation = confirmation_of(row, wait.position, self.rules);
            }
        }
        self.tick(now)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Moment) -> Next {
        let Some(wait) = &self.wait else { return Next::Wait { until: self.deadline } };
        let position = wait.position;
        let mut confirmed = 0;
        let mut waited_out = 0;
        let mut missing = 0;
        for confirmation in wait.awaited.iter().flat_map(BTreeMap::values) {
            match confirmation {
                Confirmation::Awaited => missing += 1,
                Confirmation::Confirmed { holders, waited_out: by_replica } => {
                    confirmed += holders;
                    waited_out += by_replica;
                }
                Confirmation::Gone => waited_out += 1,
            }
        }
        if wait.awaited.is_some() && missing == 0 {
            return Next::Return(self.receipt(now, position, confirmed, waited_out));
        }
        if now >= wait.until {
            // Without the rows nobody knows how many there were.
            let missing = missing.max(u32::from(wait.awaited.is_none()));
            return Next::Return(self.receipt(now, position, confirmed, waited_out + missing));
        }
        if now >= self.deadline {
            return Next::Late { position, effective_in: wait.until.since(now) };
        }
        Next::Wait { until: wait.until.min(self.deadline) }
    }

    fn receipt(&self, now: Moment, position: Position, confirmed: u32, waited_out: u32) -> Receipt {
        Receipt {
            position,
            holders_confirmed: confirmed,
            leases_waited_out: waited_out,
            elapsed: now.since(self.begun),
        }
    }
}

/// Whether this row confirms a position: with an entry of the same history, at or after it.
fn confirmation_of(row: Option<&Row>, position: Position, rules: Rules) -> Confirmation {
    let Some(row) = row else { return Confirmation::Gone };
    let Some(ack) = row.ack else { return Confirmation::Awaited };
    let same_history = ack.in_log || !rules.keep(Rule::AckByPosition);
    if same_history && ack.position.seq >= position.seq {
        Confirmation::Confirmed { holders: ack.confirmed, waited_out: ack.waited_out }
    } else {
        Confirmation::Awaited
    }
}

#[cfg(test)]
mod tests;
