//! The removal of dead replicas' rows, so that deletes do not wait for them for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Effect, Replica};
use crate::time::wait_for;
use crate::{Moment, ReplicaId, Row, Rule, Rules};

/// What this replica saw of the others' rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Others {
    rules: Rules,
    seen: BTreeMap<ReplicaId, Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    n: u64,
    since: Moment,
    lease: Duration,
}

impl Others {
    pub(super) const fn new(rules: Rules) -> Self {
        Self { rules, seen: BTreeMap::new() }
    }

    fn stood_still(&mut self, now: Moment, own: ReplicaId, rows: &[Row]) -> Vec<Effect> {
        let before = std::mem::take(&mut self.seen);
        let mut effects = Vec::new();
        for row in rows.iter().filter(|row| row.id != own) {
            let mut seen = Seen { n: row.n, since: now, lease: row.lease };
            if let Some(before) = before.get(&row.id) {
                if before.n == row.n || !self.rules.keep(Rule::RowStoodStill) {
                    seen.since = before.since;
                }
                seen.lease = row.lease.max(before.lease);
            }
            if now >= seen.since.plus(wait_for(seen.lease, self.rules)) {
                effects.push(Effect::RemoveRow { id: row.id, n: row.n });
            }
            self.seen.insert(row.id, seen);
        }
        effects
    }
}

impl Replica {
    /// The rows were read. Another's is removed only if its `n` stood still for 1.25 of its leases on this
    /// replica's own clock: a renewal that began before that is over by then.
    pub fn rows_read(&mut self, now: Moment, rows: &[Row]) -> Vec<Effect> {
        self.others.stood_still(now, self.id, rows)
    }
}
