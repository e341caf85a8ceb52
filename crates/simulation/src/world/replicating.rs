//! The replicas' driver: their lives, their timers, and what the machine wants done.

use std::time::Duration;

use gatekey_lease::{Down, Effect, Moment, Negatives, Replica, ReplicaConfig, ReplicaId, Rule, StreamId, Up};

use super::event::{Event, Op, Party};
use super::{World, say};
use crate::counts::Count;
use crate::mutant::Mutant;
use crate::profile::MILLISECOND;

impl World {
    pub(super) fn replica_clock(&self, replica: usize) -> Moment {
        self.nodes[replica].process.clock.read(self.now)
    }

    pub(super) fn alive(&self, replica: usize) -> bool {
        self.nodes[replica].machine.is_some()
    }

    pub(super) fn boot_replica(&mut self, replica: usize) {
        if self.alive(replica) {
            return;
        }
        let wide = self.wide();
        let primary = self.primary();
        let (remembered, rules) = (self.profile.remembered, self.rules);
        let reused = self.profile.is(Mutant::IdReused);
        let node = &mut self.nodes[replica];
        if !reused {
            node.id = ReplicaId(wide);
        }
        let lease = Duration::from_nanos(node.lease);
        node.machine = Some(Replica::new(ReplicaConfig { id: node.id, lease, remembered, rules }));
        node.link = super::parties::StoreLink { conn: node.link.conn + 1, ..Default::default() };
        (node.pool, node.pool_old, node.pool_closing) = (primary, None, false);
        (node.tick_at, node.poll_armed, node.leaving) = (None, false, false);
        if node.process.life > 0 {
            self.counts.saw(Count::ReplicaRestarted);
        }
        say!(self, "replica {replica} starts with a lease of {lease:?}");
        self.schedule_to(Party::Replica(replica), self.now, Event::Connect);
        let first = self.soon();
        self.schedule_to(Party::Replica(replica), first, Event::Renew);
    }

    /// The process is gone, and with it all that it knew.
    pub(super) fn end_replica(&mut self, replica: usize, silently: bool) {
        if !self.alive(replica) {
            return;
        }
        say!(self, "replica {replica} ends");
        let node = &mut self.nodes[replica];
        node.machine = None;
        node.process.end();
        node.cache.clear();
        node.negatives = Negatives::new(100, Duration::from_nanos(node.lease));
        node.link.up = false;
        self.streams_of_dead_replica(replica, silently);
        for delete in self.under_way.clone() {
            if self.deletes[delete].replica == replica {
                self.delete_fails(delete, Count::DeleteAbandoned);
            }
        }
        let lease = self.nodes[replica].lease;
        let at = self.now + self.random.magnitude(10 * MILLISECOND, 2 * lease);
        self.schedule(at, Event::Boot(Party::Replica(replica)));
    }

    pub(super) fn replica_handles(&mut self, replica: usize, event: Event) {
        let now = self.replica_clock(replica);
        match event {
            Event::Renew => self.renew_replica(replica),
            Event::Tick => {
                self.nodes[replica].tick_at = None;
                self.drive(replica, |machine| machine.tick(now));
            }
            Event::Wake => self.wake(replica),
            Event::Poll => self.poll(replica),
            Event::Connect => self.connect_to_store(replica),
            Event::Exit => self.end_replica(replica, false),
            Event::Reply { conn, reply } => self.store_replied(replica, conn, reply),
            Event::PoolClosed { conn } => self.pool_closed(replica, conn),
            Event::Up { stream, message } => self.heard_up(stream, message),
            Event::Verify { call } => self.verify(replica, call),
            Event::ReadDone { read, token, asker, found } => {
                self.read_done(replica, read, token, (asker, found));
            }
            Event::DeleteArrives { delete } => self.delete_arrives(delete),
            Event::Committed { delete, written } => self.delete_committed(delete, written),
            Event::RowsDue { delete } => self.rows_due(delete),
            Event::RowsRead { delete, rows } => self.rows_read(delete, rows),
            Event::DeleteTick { delete } => self.delete_tick(delete),
            Event::Created { token, timeline } => self.created(token, timeline),
            Event::Check(token) => self.check_at_replica(replica, token),
            other => unreachable!("a replica does not handle {other:?}"),
        }
    }

    fn renew_replica(&mut self, replica: usize) {
        let node = &self.nodes[replica];
        let next = self.now + node.process.clock.takes(node.lease / 5);
        self.schedule_to(Party::Replica(replica), next, Event::Renew);
        if self.profile.lacks(Rule::GrantsAnswer) {
            self.push_grants(replica);
        }
        let node = &self.nodes[replica];
        if !node.link.up {
            return;
        }
        match node.link.busy {
            Some(since) if self.now - since > node.lease / 2 => self.connection_lost(replica),
            None if node.link.queue.is_empty() && !node.pool_closing => {
                let now = self.replica_clock(replica);
                self.drive(replica, |machine| machine.renew(now));
                if self.random.chance(500) {
                    self.ask_store(replica, Op::Rows);
                }
            }
            _ => {}
        }
    }

    fn push_grants(&mut self, replica: usize) {
        let now = self.replica_clock(replica);
        let life = self.nodes[replica].process.life;
        let of_it = |stream: &super::Stream| {
            stream.replica == replica && stream.replica_life == life && stream.replica_open
        };
        let streams: Vec<u64> =
            (0u64..).zip(&self.streams).filter(|(_, stream)| of_it(stream)).map(|(id, _)| id).collect();
        for stream in streams {
            self.drive(replica, |machine| machine.push_grant(now, StreamId(stream)));
        }
    }

    /// NOTIFY came.
    fn wake(&mut self, replica: usize) {
        let link = &self.nodes[replica].link;
        if link.up && link.busy.is_none() && link.queue.is_empty() {
            self.drive(replica, Replica::wake);
        } else {
            self.arm_poll(replica);
        }
    }

    /// Has the replica look for new entries within 250 ms. (A poll that finds nothing changes nothing, so
    /// only those are simulated before which something was written.)
    pub(super) fn arm_poll(&mut self, replica: usize) {
        let node = &mut self.nodes[replica];
        if node.machine.is_some() && !node.poll_armed {
            node.poll_armed = true;
            let at = self.now + self.random.between(1, 250 * MILLISECOND);
            self.schedule_to(Party::Replica(replica), at, Event::Poll);
        }
    }

    fn poll(&mut self, replica: usize) {
        let node = &mut self.nodes[replica];
        node.poll_armed = false;
        let position = node.machine.as_ref().and_then(Replica::position);
        if !node.link.up || position == Some(self.stores[node.link.store].newest()) {
            return;
        }
        if node.link.busy.is_none() && node.link.queue.is_empty() {
            self.counts.saw(Count::PollFound);
            self.drive(replica, Replica::wake);
        }
        self.arm_poll(replica);
    }

    /// Lets a machine handle something, and does what it wants done, in order.
    pub(super) fn drive(&mut self, replica: usize, handle: impl FnOnce(&mut Replica) -> Vec<Effect>) {
        let Some(machine) = &mut self.nodes[replica].machine else { return };
        let effects = handle(machine);
        self.carry_out_all(replica, effects);
    }

    fn carry_out_all(&mut self, replica: usize, effects: Vec<Effect>) {
        let mut closed = Vec::new();
        for effect in effects {
            if let Effect::Close { stream } = effect {
                closed.push(stream);
            }
            self.carry_out(replica, effect);
        }
        let now = self.replica_clock(replica);
        for stream in closed {
            let broken = self.nodes[replica].machine.as_mut().map(|machine| machine.broken(now, stream));
            self.carry_out_all(replica, broken.unwrap_or_default());
        }
        self.schedule_tick(replica);
    }

    fn schedule_tick(&mut self, replica: usize) {
        let node = &mut self.nodes[replica];
        let Some(due) = node.machine.as_ref().and_then(Replica::next_tick) else { return };
        let at = node.process.clock.when(due).max(self.now + 1);
        if node.tick_at.is_none_or(|planned| at < planned) {
            node.tick_at = Some(at);
            self.schedule_to(Party::Replica(replica), at, Event::Tick);
        }
    }

    fn carry_out(&mut self, replica: usize, effect: Effect) {
        say!(self, "replica {replica}: {effect:?}");
        match effect {
            Effect::CommitRow { n, lease } => self.ask_store(replica, Op::Row { n, lease }),
            Effect::ReadHead => self.ask_store(replica, Op::Head),
            Effect::ReadLog { from } => self.ask_store(replica, Op::Log { from }),
            Effect::ClosePool => {
                self.nodes[replica].pool_closing = true;
                let lease = self.nodes[replica].lease;
                let late = self.random.chance(self.profile.slow_closing);
                let at =
                    if late { self.now + self.random.magnitude(MILLISECOND, lease) } else { self.soon() };
                let conn = self.nodes[replica].link.conn;
                self.schedule_to(Party::Replica(replica), at, Event::PoolClosed { conn });
            }
            Effect::Drop(digests) => self.nodes[replica].cache.drop_all(&digests),
            Effect::Clear => {
                self.counts.saw(Count::Forked);
                let node = &mut self.nodes[replica];
                node.cache.clear();
                node.negatives.clear();
            }
            Effect::Send { stream, message } => self.send_down(stream, message),
            Effect::Close { stream } => self.close_down(stream),
            Effect::Confirm { position, confirmed, waited_out } if self.profile.acks => {
                self.ask_store(replica, Op::Confirm { position, confirmed, waited_out });
            }
            Effect::Confirm { .. } => {}
            Effect::RemoveRow { id, n } => self.ask_store(replica, Op::Remove { id, n }),
        }
    }

    pub(super) fn leave(&mut self, replica: usize) {
        if !self.alive(replica) || self.nodes[replica].leaving || self.nodes[replica].process.paused {
            return;
        }
        self.counts.saw(Count::ReplicaLeft);
        self.nodes[replica].leaving = true;
        let now = self.replica_clock(replica);
        let latest = self.now + 2 * self.nodes[replica].lease;
        self.schedule_to(Party::Replica(replica), latest, Event::Exit);
        self.drive(replica, |machine| machine.streams().into_iter().map(Replica::dismiss).collect());
        self.drive(replica, |machine| machine.leave(now));
    }

    pub(super) fn heard(&mut self, replica: usize, stream: StreamId, message: Up) {
        let now = self.replica_clock(replica);
        self.drive(replica, |machine| machine.receive(now, stream, message));
    }

    /// Only for the trace and the counts.
    pub(super) fn note_down(&mut self, message: &Down, after_hello: bool) {
        match message {
            Down::Grant { .. } => self.counts.saw(Count::Granted),
            Down::Reset { .. } => self.counts.saw(Count::Reset),
            Down::Invalidate { .. } => self.counts.saw(Count::Invalidated),
            Down::Leave => self.counts.saw(Count::Dismissed),
        }
        if after_hello && !matches!(message, Down::Reset { .. }) {
            self.counts.saw(Count::Delta);
        }
    }
}
