//! The renewal connection of each replica, and the stores at its end: statements go one after the other, and
//! what was on a connection that fails is lost, done or not.

use std::time::Duration;

use gatekey_lease::{Read, Replica, Rule};

use super::event::{Asker, Event, Found, Op, Party, Reply, Statement, What};
use super::{World, say};
use crate::counts::Count;
use crate::mutant::Mutant;
use crate::profile::{MILLISECOND, SECOND};
use crate::store::{Stored, TokenNumber};

impl World {
    pub(super) fn ask_store(&mut self, replica: usize, op: Op) {
        self.nodes[replica].link.queue.push_back(op);
        self.pump(replica);
    }

    /// Sends the next statement, if none is under way.
    fn pump(&mut self, replica: usize) {
        let link = &mut self.nodes[replica].link;
        if !link.up || link.busy.is_some() {
            return;
        }
        let Some(op) = link.queue.pop_front() else { return };
        link.busy = Some(self.now);
        let (conn, store) = (link.conn, link.store);
        let writes = matches!(op, Op::Row { .. });
        let at = if writes && self.random.chance(self.profile.slow_commits) {
            self.now + self.random.magnitude(MILLISECOND, self.nodes[replica].lease / 2)
        } else {
            self.soon()
        };
        self.send_statement(replica, store, at, What::Op { conn, op });
    }

    pub(super) fn send_statement(&mut self, replica: usize, store: usize, at: u64, what: What) {
        let life = self.nodes[replica].process.life;
        self.schedule(at, Event::AtStore(Statement { store, replica, life, what }));
    }

    /// Where a connection of the replica's pool leads.
    pub(super) fn pool_store(&mut self, replica: usize) -> usize {
        let node = &self.nodes[replica];
        let (new, old) = (node.pool, node.pool_old);
        old.filter(|_| self.random.chance(500)).unwrap_or(new)
    }

    /// The renewal connection fails, and what was queued on it is dropped.
    pub(super) fn connection_lost(&mut self, replica: usize) {
        let link = &mut self.nodes[replica].link;
        if !link.up {
            return;
        }
        say!(self, "replica {replica} loses its renewal connection");
        self.counts.saw(Count::ConnectionLost);
        link.up = false;
        link.queue.clear();
        link.busy = None;
        let at = self.now + self.random.magnitude(10 * MILLISECOND, SECOND);
        self.schedule_to(Party::Replica(replica), at, Event::Connect);
    }

    pub(super) fn connect_to_store(&mut self, replica: usize) {
        if self.unreachable(replica) {
            let at = self.now + self.random.magnitude(100 * MILLISECOND, SECOND);
            self.schedule_to(Party::Replica(replica), at, Event::Connect);
            return;
        }
        let primary = self.primary();
        let stale = primary > 0 && self.now < self.stale_until && self.random.chance(300);
        let link = &mut self.nodes[replica].link;
        if link.up {
            return;
        }
        link.conn += 1;
        link.up = true;
        link.busy = None;
        link.queue.clear();
        link.store = if stale { primary - 1 } else { primary };
        say!(self, "replica {replica} connects to store {}", link.store);
        if std::mem::replace(&mut link.made, true) {
            self.drive(replica, Replica::reconnected);
        } else {
            let now = self.replica_clock(replica);
            self.drive(replica, |machine| machine.renew(now));
        }
    }

    pub(super) fn pool_closed(&mut self, replica: usize, conn: u64) {
        let now = self.replica_clock(replica);
        let node = &mut self.nodes[replica];
        if !node.link.up || node.link.conn != conn {
            return;
        }
        (node.pool, node.pool_old, node.pool_closing) = (node.link.store, None, false);
        if let Some(machine) = &mut node.machine {
            machine.pool_closed();
        }
        self.drive(replica, |machine| machine.renew(now));
    }

    /// Whether neither side hears of the other.
    fn unreachable(&self, replica: usize) -> bool {
        self.now < self.down_until || self.now < self.nodes[replica].isolated_until
    }

    pub(super) fn at_store(&mut self, statement: Statement) {
        let Statement { store, replica, life, what } = statement;
        let reached = !self.unreachable(replica);
        let primary = store == self.primary();
        match what {
            What::Op { conn, op } => {
                let node = &self.nodes[replica];
                let given_up = node.process.life != life || !node.link.up || node.link.conn != conn;
                if given_up {
                    if !reached || self.random.chance(500) {
                        return;
                    }
                    self.counts.saw(Count::StaleStatement);
                }
                let reply =
                    if reached { self.execute(replica, store, conn, op) } else { Some(Reply::Broken) };
                if let Some(reply) = reply {
                    let at = self.soon();
                    self.schedule_to_life(Party::Replica(replica), life, at, Event::Reply { conn, reply });
                }
            }
            What::Read { read, token, asker } => self.read((replica, life, store), read, token, asker),
            What::Create { token } if reached && primary => {
                self.stores[store].create(token);
                let (at, timeline) = (self.soon(), self.timeline);
                self.schedule_to_life(Party::Replica(replica), life, at, Event::Created { token, timeline });
            }
            What::Create { .. } => {}
            What::Commit { delete } => self.commit_delete(delete, store, reached),
            What::Rows { delete } => self.rows_at_store(delete, store, reached),
        }
    }

    fn read(
        &mut self,
        (replica, life, store): (usize, u32, usize),
        read: Read,
        token: TokenNumber,
        asker: Asker,
    ) {
        let primary = store == self.primary();
        let found = (!self.unreachable(replica)).then(|| {
            let bare = self.profile.lacks(Rule::AsOfByPosition);
            let store = &self.stores[store];
            let contains =
                if bare { store.contains_number(read.position) } else { store.contains(read.position) };
            Found { token: store.token(token), contains, primary }
        });
        if let Some(found) = found
            && !primary
        {
            self.counts.saw(Count::ReadAtOldPrimary);
            if found.token == Stored::Absent {
                self.counts.saw(Count::UnknownAtOldPrimary);
            }
        }
        let at = self.soon();
        let event = Event::ReadDone { read, token, asker, found };
        self.schedule_to_life(Party::Replica(replica), life, at, event);
    }

    /// Carries out a statement. An old primary never acknowledges a write: its standby is gone.
    fn execute(&mut self, replica: usize, store: usize, conn: u64, op: Op) -> Option<Reply> {
        let writes = !matches!(op, Op::Head | Op::Log { .. } | Op::Rows);
        if writes && store != self.primary() && !self.profile.is(Mutant::RenewalNotReplicated) {
            self.counts.saw(Count::WriteAtOldPrimary);
            return None;
        }
        let id = self.nodes[replica].id;
        Some(match op {
            Op::Row { n, lease } if self.profile.is(Mutant::OneSnapshot) => {
                self.late_row(replica, store, conn, (n, lease));
                return None;
            }
            Op::Row { n, lease } => {
                self.counts.saw(Count::Renewed);
                Reply::Row { inserted: self.stores[store].commit_row(id, n, lease) }
            }
            Op::LateRow { n, lease, head, entries } => {
                Reply::Snapshot { inserted: self.stores[store].commit_row(id, n, lease), head, entries }
            }
            Op::Head => Reply::Head(self.stores[store].head()),
            Op::Log { from } => Reply::Log(self.stores[store].entries_from(from, self.profile.chunk)),
            Op::Confirm { position, confirmed, waited_out } => {
                let bare = self.profile.lacks(Rule::AckByPosition);
                if self.stores[store].confirm(id, (position, confirmed, waited_out), bare) {
                    self.rows_changed();
                }
                Reply::Done
            }
            Op::Remove { id: whose, n } => {
                if self.stores[store].remove_row(whose, n) {
                    self.counts.saw(if whose == id { Count::Left } else { Count::RowRemoved });
                    self.rows_changed();
                }
                Reply::Removed { id: whose }
            }
            Op::Rows => Reply::Rows(self.stores[store].rows()),
        })
    }

    /// The transaction has taken its snapshot, and commits later.
    fn late_row(&mut self, replica: usize, store: usize, conn: u64, (n, lease): (u64, Duration)) {
        let head = self.stores[store].head();
        let position = self.nodes[replica].machine.as_ref().and_then(Replica::position);
        let entries = self.stores[store].entries_from(position.unwrap_or(head.position).seq, usize::MAX);
        let at = self.now + self.random.magnitude(MILLISECOND, self.nodes[replica].lease / 2);
        let op = Op::LateRow { n, lease, head, entries };
        self.send_statement(replica, store, at, What::Op { conn, op });
    }

    pub(super) fn store_replied(&mut self, replica: usize, conn: u64, reply: Reply) {
        let node = &mut self.nodes[replica];
        if !node.link.up || node.link.conn != conn {
            return;
        }
        node.link.busy = None;
        let own = node.id;
        let now = self.replica_clock(replica);
        match reply {
            Reply::Row { inserted } => self.drive(replica, |machine| machine.row_committed(inserted)),
            Reply::Snapshot { inserted, head, entries } => {
                if let Some(machine) = &mut self.nodes[replica].machine {
                    machine.row_committed(inserted);
                    machine.head_read(now, head);
                }
                self.drive(replica, |machine| machine.log_read(now, &entries));
            }
            Reply::Head(head) => self.drive(replica, |machine| machine.head_read(now, head)),
            Reply::Log(entries) => self.drive(replica, |machine| machine.log_read(now, &entries)),
            Reply::Rows(rows) => self.drive(replica, |machine| machine.rows_read(now, &rows)),
            Reply::Removed { id } if id == own && self.nodes[replica].leaving => {
                self.end_replica(replica, false);
            }
            Reply::Removed { .. } | Reply::Done => {}
            Reply::Broken => self.connection_lost(replica),
        }
        if self.alive(replica) {
            self.pump(replica);
        }
    }

    /// Wakes the replicas that listen at this store.
    pub(super) fn notify(&mut self, store: usize) {
        for replica in 0..self.nodes.len() {
            let link = &self.nodes[replica].link;
            if !self.alive(replica) || !link.up || link.store != store {
                continue;
            }
            if self.random.chance(self.profile.notify_lost) {
                self.counts.saw(Count::NotifyLost);
            } else {
                let at = self.soon();
                self.schedule_to(Party::Replica(replica), at, Event::Wake);
            }
            self.arm_poll(replica);
        }
    }
}
