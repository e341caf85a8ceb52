//! DeleteToken: the transaction, the waiting, and the clients that go away and ask again elsewhere.

use gatekey_lease::{Deletion, Moment, Next, Position, Rows};

use super::event::{Event, Party, What, Written};
use super::parties::{Delete, Stage};
use super::{World, say};
use crate::counts::Count;
use crate::mutant::Mutant;
use crate::profile::{MILLISECOND, SECOND};
use crate::store::TokenNumber;

/// How often a client asks again.
const ATTEMPTS: u8 = 4;

impl World {
    /// A client calls DeleteToken, at any replica that is alive.
    pub(super) fn begin_delete(&mut self, token: TokenNumber, attempt: u8) {
        let replica = self.random.index(self.nodes.len());
        if !self.alive(replica) {
            let at = self.now + self.random.magnitude(10 * MILLISECOND, SECOND);
            self.schedule(at, Event::Delete { token, attempt });
            return;
        }
        self.live.retain(|live| *live != token);
        let record = self.recording.delete_invoked(token, self.now);
        let delete = self.deletes.len();
        say!(self, "delete {delete} of token {token} at replica {replica}, attempt {attempt}");
        self.deletes.push(Delete {
            token,
            attempt,
            replica,
            record,
            machine: None,
            position: None,
            stage: Stage::Begun,
            lost: false,
            reading: false,
            changed: false,
        });
        self.under_way.push(delete);
        let at = self.soon();
        self.schedule_to(Party::Replica(replica), at, Event::DeleteArrives { delete });
        let longest = self.profile.longest_lease();
        let patience =
            if self.random.chance(150) { self.random.magnitude(MILLISECOND, longest) } else { 3 * longest };
        self.schedule(self.now + patience, Event::ClientGone { delete });
    }

    pub(super) fn delete_arrives(&mut self, delete: usize) {
        let replica = self.deletes[delete].replica;
        if self.deletes[delete].stage == Stage::Over {
            return;
        }
        let now = self.replica_clock(replica);
        let (lease, longest) = (self.nodes[replica].lease, self.profile.longest_lease());
        let patience = if self.random.chance(150) { lease / 2 } else { 4 * longest };
        let deadline = Moment::from_nanos(now.nanos() + patience);
        self.deletes[delete].machine = Some(Deletion::begin(now, deadline, self.rules));
        let store = self.pool_store(replica);
        let at = if self.random.chance(self.profile.slow_commits) {
            self.now + self.random.magnitude(MILLISECOND, lease)
        } else {
            self.soon()
        };
        self.send_statement(replica, store, at, What::Commit { delete });
    }

    /// The transaction reaches a store. Its client and its replica may be gone: it commits all the same.
    pub(super) fn commit_delete(&mut self, delete: usize, store: usize, reached: bool) {
        let Delete { token, replica, .. } = self.deletes[delete];
        if store != self.primary() {
            self.counts.saw(Count::WriteAtOldPrimary);
            return;
        }
        let nonce = self.random.bits();
        let warned = self.random.chance(self.profile.warned);
        let mut written = None;
        if reached && let Some((position, max_lease, again)) = self.stores[store].revoke(token, nonce) {
            say!(self, "delete {delete} of token {token} is written at {position}, again: {again}");
            self.deletes[delete].position = Some(position);
            written = Some(Written { position, max_lease, again });
            if again {
                self.hear_of_repeat(position);
            } else {
                self.notify(store);
            }
            if warned && !again {
                self.counts.saw(Count::CommitWarned);
                written = None;
                self.maybe_fork_soon();
            }
        }
        let at = self.soon();
        self.schedule_to(Party::Replica(replica), at, Event::Committed { delete, written });
    }

    /// A repeat writes as well, so that what was written before it is replicated once it is acknowledged.
    fn hear_of_repeat(&mut self, position: Position) {
        if !self.profile.is(Mutant::RepeatReadsOnly) {
            self.acknowledged = self.acknowledged.max(position.seq);
        }
    }

    pub(super) fn delete_committed(&mut self, delete: usize, written: Option<Written>) {
        if self.deletes[delete].stage == Stage::Over {
            return;
        }
        let Some(Written { position, max_lease, again }) = written.filter(|_| !self.deletes[delete].lost)
        else {
            self.delete_fails(delete, Count::DeleteAbandoned);
            return;
        };
        if again {
            self.counts.saw(Count::RepeatedDelete);
            self.hear_of_repeat(position);
        } else {
            self.acknowledged = self.acknowledged.max(position.seq);
        }
        self.deletes[delete].stage = Stage::Waiting;
        self.step_delete(delete, |machine, now| {
            if again {
                machine.seen(now, position, max_lease)
            } else {
                machine.committed(now, position, max_lease)
            }
        });
        self.rows_due(delete);
    }

    /// Reads the rows; again, if they are being read, since that may have come too early.
    pub(super) fn rows_due(&mut self, delete: usize) {
        let Delete { replica, stage, reading, .. } = self.deletes[delete];
        if stage != Stage::Waiting {
            return;
        }
        if reading {
            self.deletes[delete].changed = true;
            return;
        }
        self.deletes[delete].reading = true;
        let (store, at) = (self.pool_store(replica), self.soon());
        self.send_statement(replica, store, at, What::Rows { delete });
    }

    pub(super) fn rows_at_store(&mut self, delete: usize, store: usize, reached: bool) {
        let Delete { replica, position, .. } = self.deletes[delete];
        let rows = position.filter(|_| reached).map(|position| self.stores[store].rows_for(position));
        let at = self.soon();
        self.schedule_to(Party::Replica(replica), at, Event::RowsRead { delete, rows });
    }

    pub(super) fn rows_read(&mut self, delete: usize, rows: Option<Rows>) {
        self.deletes[delete].reading = false;
        let changed = std::mem::take(&mut self.deletes[delete].changed);
        if let Some(rows) = rows {
            self.step_delete(delete, |machine, now| machine.rows(now, &rows));
            if changed {
                self.rows_due(delete);
            }
        } else {
            let at = self.now + self.random.magnitude(10 * MILLISECOND, SECOND);
            let replica = self.deletes[delete].replica;
            self.schedule_to(Party::Replica(replica), at, Event::RowsDue { delete });
        }
    }

    /// Rows have changed: whoever waits reads them again, at once or at its next look.
    pub(super) fn rows_changed(&mut self) {
        for delete in self.under_way.clone() {
            let Delete { replica, stage, .. } = self.deletes[delete];
            if stage != Stage::Waiting {
                continue;
            }
            let lost = self.random.chance(self.profile.notify_lost);
            let at = if lost { self.now + self.random.between(1, 250 * MILLISECOND) } else { self.soon() };
            self.schedule_to(Party::Replica(replica), at, Event::RowsDue { delete });
        }
    }

    pub(super) fn delete_tick(&mut self, delete: usize) {
        self.step_delete(delete, Deletion::tick);
    }

    fn step_delete(&mut self, delete: usize, step: impl FnOnce(&mut Deletion, Moment) -> Next) {
        let Delete { replica, stage, token, record, .. } = self.deletes[delete];
        let now = self.replica_clock(replica);
        let Some(machine) = self.deletes[delete].machine.as_mut().filter(|_| stage != Stage::Over) else {
            return;
        };
        let next = step(machine, now);
        say!(self, "delete {delete} of token {token}: {next:?}");
        match next {
            Next::Wait { until } => {
                let at = self.nodes[replica].process.clock.when(until).max(self.now + 1);
                self.schedule_to(Party::Replica(replica), at, Event::DeleteTick { delete });
            }
            Next::Return(receipt) => {
                let by_time = receipt.leases_waited_out > 0;
                self.counts.saw(if by_time { Count::DeletedByTime } else { Count::DeletedByAcks });
                self.recording.delete_ended(record, token, self.now, true);
                self.end_delete(delete);
                self.after_delete(token);
            }
            Next::Late { .. } => self.delete_fails(delete, Count::DeleteLate),
            Next::Lost => self.delete_fails(delete, Count::DeleteLost),
        }
    }

    fn end_delete(&mut self, delete: usize) {
        self.deletes[delete].stage = Stage::Over;
        self.deletes[delete].machine = None;
        self.under_way.retain(|other| *other != delete);
    }

    /// Its caller hears of no OK, and may ask again.
    pub(super) fn delete_fails(&mut self, delete: usize, why: Count) {
        let Delete { token, attempt, record, stage, .. } = self.deletes[delete];
        if stage == Stage::Over {
            return;
        }
        say!(self, "delete {delete} of token {token} fails: {}", why.text());
        self.counts.saw(why);
        self.recording.delete_ended(record, token, self.now, false);
        self.end_delete(delete);
        if attempt < ATTEMPTS && self.random.chance(900) {
            let at = self.now + self.random.magnitude(MILLISECOND, 5 * SECOND);
            self.schedule(at, Event::Delete { token, attempt: attempt + 1 });
        }
    }
}
