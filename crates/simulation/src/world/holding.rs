//! The holders' driver: their lives, their streams, and what the machine wants done.

use std::time::Duration;

use gatekey_lease::{Down, Holder, HolderEffect, HolderId, Moment, Negatives};

use super::event::{Event, Party};
use super::{World, say};
use crate::counts::Count;
use crate::history::Nanos;
use crate::profile::{MILLISECOND, SECOND};

impl World {
    pub(super) fn holder_clock(&self, holder: usize) -> Moment {
        self.holders[holder].process.clock.read(self.now)
    }

    pub(super) fn boot_holder(&mut self, holder: usize) {
        if self.holders[holder].machine.is_some() {
            return;
        }
        let (wide, rules) = (self.wide(), self.rules);
        let node = &mut self.holders[holder];
        node.id = HolderId(wide);
        node.machine = Some(Holder::new(node.id, rules));
        (node.lease, node.stream, node.opening, node.unanswered) = (Moment::NEVER, None, false, 0);
        say!(self, "holder {holder} starts");
        self.plan_open(holder, self.now);
        self.schedule_to(Party::Holder(holder), self.now, Event::RenewLease);
    }

    pub(super) fn end_holder(&mut self, holder: usize) {
        if self.holders[holder].machine.is_none() {
            return;
        }
        say!(self, "holder {holder} ends");
        self.streams_of_dead_holder(holder);
        let life = Duration::from_nanos(self.profile.shortest_lease());
        let node = &mut self.holders[holder];
        node.machine = None;
        node.process.end();
        node.cache.clear();
        node.negatives = Negatives::new(100, life);
        node.flights.clear();
        let at = self.now + self.random.magnitude(10 * MILLISECOND, 4 * SECOND);
        self.schedule(at, Event::Boot(Party::Holder(holder)));
    }

    pub(super) fn holder_handles(&mut self, holder: usize, event: Event) {
        match event {
            Event::RenewLease => self.renew_holder(holder),
            Event::Open => self.open(holder),
            Event::Down { stream, message } => self.heard_down(stream, message),
            Event::Ask { flight, token } => self.ask(holder, flight, token),
            Event::Answer { call, answer } => self.answered(holder, call, answer),
            Event::Check(token) => self.request(holder, token, self.now),
            other => unreachable!("a holder does not handle {other:?}"),
        }
    }

    fn drive_holder(&mut self, holder: usize, handle: impl FnOnce(&mut Holder) -> Vec<HolderEffect>) {
        let Some(machine) = &mut self.holders[holder].machine else { return };
        for effect in handle(machine) {
            say!(self, "holder {holder}: {effect:?}");
            let node = &mut self.holders[holder];
            match effect {
                HolderEffect::Lease(until) => node.lease = until,
                HolderEffect::Drop(digests) => node.cache.drop_all(&digests),
                HolderEffect::Clear => {
                    node.cache.clear();
                    node.negatives.clear();
                }
                HolderEffect::Send(message) => {
                    if let Some(stream) = node.stream {
                        self.send_up(stream, message);
                    }
                }
            }
        }
    }

    /// A Renew is due; or the stream has been silent for too long.
    fn renew_holder(&mut self, holder: usize) {
        let now = self.holder_clock(holder);
        let node = &mut self.holders[holder];
        let leased = now < node.lease;
        let period = if leased { node.ttl / 3 } else { (node.ttl / 10).max(100 * MILLISECOND) };
        let at = self.now + node.process.clock.takes(period);
        if node.stream.is_some() {
            if node.unanswered >= 4 {
                node.unanswered = 0;
                self.abandon(holder);
                self.plan_open(holder, self.now);
            } else {
                node.unanswered += 1;
                self.drive_holder(holder, |machine| machine.renew(now));
            }
        }
        self.schedule_to(Party::Holder(holder), at, Event::RenewLease);
    }

    pub(super) fn plan_open(&mut self, holder: usize, at: Nanos) {
        if !std::mem::replace(&mut self.holders[holder].opening, true) {
            self.schedule_to(Party::Holder(holder), at, Event::Open);
        }
    }

    /// Connects to any replica. The old stream is given up then, if there still is one.
    fn open(&mut self, holder: usize) {
        self.holders[holder].opening = false;
        let replica = self.random.index(self.nodes.len());
        if !self.alive(replica) || self.nodes[replica].leaving {
            let at = self.now + self.random.magnitude(20 * MILLISECOND, SECOND);
            self.plan_open(holder, at);
            return;
        }
        self.abandon(holder);
        let stream = self.open_stream(holder, replica);
        say!(self, "holder {holder} opens stream {stream} to replica {replica}");
        let node = &mut self.holders[holder];
        node.stream = Some(stream);
        node.unanswered = 0;
        self.drive_holder(holder, Holder::connected);
        let now = self.holder_clock(holder);
        self.drive_holder(holder, |machine| machine.renew(now));
        self.after_open(replica);
    }

    /// The replica said something on the current stream.
    pub(super) fn told(&mut self, holder: usize, message: Down) {
        if let Down::Grant { ttl, .. } = message {
            let least = self.profile.shortest_lease() / 2;
            let node = &mut self.holders[holder];
            node.unanswered = 0;
            node.ttl = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX).max(least);
        }
        let now = self.holder_clock(holder);
        self.drive_holder(holder, |machine| machine.receive(now, message));
    }

    /// Gracefully ends its lease; it may end then, or come back.
    pub(super) fn release(&mut self, holder: usize) {
        if self.holders[holder].machine.is_none() || self.holders[holder].process.paused {
            return;
        }
        self.counts.saw(Count::HolderReleased);
        self.drive_holder(holder, Holder::release);
        if self.random.chance(500) {
            self.end_holder(holder);
        }
    }

    /// Somebody knows that its clock did not count a pause.
    pub(super) fn reset_holder(&mut self, holder: usize) {
        if self.holders[holder].machine.is_none() || self.holders[holder].process.paused {
            return;
        }
        self.counts.saw(Count::HolderReset);
        let id = HolderId(self.wide());
        self.holders[holder].id = id;
        self.drive_holder(holder, |machine| machine.reset_all(id));
        self.plan_open(holder, self.now);
    }
}
