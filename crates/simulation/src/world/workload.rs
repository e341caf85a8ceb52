//! What clients do: tokens are created, checked everywhere, and deleted. Checks crowd around the deletes, since
//! that is where S can break.

use gatekey_lease::Moment;

use super::event::{Event, Party, What};
use super::{World, say};
use crate::profile::{MILLISECOND, SECOND};
use crate::store::{TokenNumber, digest};

impl World {
    /// Everyone starts, and everything that has to come is planned.
    pub(super) fn begin(&mut self) {
        let early = self.profile.longest_lease() / 4;
        for replica in 0..self.nodes.len() {
            let at = self.random.below(early / 4);
            self.schedule(at, Event::Boot(Party::Replica(replica)));
        }
        for holder in 0..self.holders.len() {
            let at = self.random.below(early);
            self.schedule(at, Event::Boot(Party::Holder(holder)));
        }
        let tokens = TokenNumber::try_from(self.profile.tokens).expect("there are fewer");
        for token in 0..tokens {
            let at = early / 4 + self.random.below(self.profile.horizon / 4 * 3);
            self.schedule(at, Event::Create(token));
        }
        for (fault, mean) in self.profile.faults.clone() {
            let at = early + self.random.below(2 * mean);
            self.schedule(at, Event::Fault(fault));
        }
    }

    /// The world's own events.
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Create(token) => self.create(token),
            Event::Delete { token, attempt } => self.delete(token, attempt),
            Event::DeleteCached { replica } => self.delete_cached(replica),
            Event::Target(token) => self.target(token),
            Event::Fault(fault) => self.fault(fault),
            Event::ForkOnce => self.fork(),
            Event::LoseConnection(replica, life) => {
                if self.nodes[replica].process.life == life {
                    self.connection_lost(replica);
                }
            }
            Event::ClientGone { delete } => {
                self.delete_fails(delete, crate::counts::Count::DeleteAbandoned);
            }
            Event::Boot(Party::Replica(replica)) => self.boot_replica(replica),
            Event::Boot(Party::Holder(holder)) => self.boot_holder(holder),
            Event::Resume(party, life) => self.resume(party, life),
            Event::AtStore(statement) => self.at_store(statement),
            other => unreachable!("{other:?} happens to a process"),
        }
    }

    /// A client calls CreateToken. If it fails, nobody ever knows the token.
    fn create(&mut self, token: TokenNumber) {
        let replica = self.random.index(self.nodes.len());
        if self.alive(replica) {
            let (store, at) = (self.pool_store(replica), self.soon());
            self.send_statement(replica, store, at, What::Create { token });
        }
    }

    /// CreateToken returned OK, unless what it wrote is gone.
    pub(super) fn created(&mut self, token: TokenNumber, timeline: u32) {
        if timeline != self.timeline {
            return;
        }
        say!(self, "token {token} is created");
        self.recording.created(token, self.now);
        self.live.push(token);
        let longest = self.profile.longest_lease();
        if self.random.chance(self.profile.deleted) {
            let at = self.now + self.random.magnitude(MILLISECOND, 2 * longest);
            self.plan_delete(token, at);
        } else {
            for _ in 0..self.random.between(4, 12) {
                let at = self.now + self.random.magnitude(1000, 4 * longest);
                self.check_anywhere(token, at);
            }
        }
    }

    /// A token will be deleted: many cache it before.
    fn plan_delete(&mut self, token: TokenNumber, at: u64) {
        let shortest = self.profile.shortest_lease();
        for _ in 0..self.random.between(2, 8) {
            let before = self.random.magnitude(MILLISECOND, shortest);
            self.check_anywhere(token, at.saturating_sub(before).max(self.now));
        }
        if self.random.chance(self.profile.targeted) {
            let before = self.random.magnitude(MILLISECOND, self.profile.longest_lease());
            self.schedule(at.saturating_sub(before).max(self.now), Event::Target(token));
        }
        self.schedule(at, Event::Delete { token, attempt: 0 });
        if self.random.chance(self.profile.twice) {
            let at = at + self.random.magnitude(1000, self.profile.longest_lease());
            self.schedule(at, Event::Delete { token, attempt: 0 });
        }
    }

    fn check_anywhere(&mut self, token: TokenNumber, at: u64) {
        let party = if self.random.chance(250) {
            Party::Replica(self.random.index(self.nodes.len()))
        } else {
            Party::Holder(self.random.index(self.holders.len()))
        };
        self.schedule_to(party, at, Event::Check(token));
    }

    /// Who has this token cached: at most so many, beginning anywhere.
    fn cached(&mut self, token: TokenNumber, most: usize) -> Vec<Party> {
        let digest = digest(token);
        let length = self.holders.len();
        let begin = self.random.index(length);
        let holders = (0..length).map(|holder| (begin + holder) % length);
        let has = |holder: &usize| self.holders[*holder].cache.get(&digest).is_some();
        let mut parties: Vec<Party> = holders.filter(has).take(most).map(Party::Holder).collect();
        let replicas = 0..self.nodes.len();
        let has = |replica: &usize| self.nodes[*replica].cache.get(&digest).is_some();
        parties.extend(replicas.filter(has).map(Party::Replica));
        parties
    }

    /// A client deletes a token, and others go on checking it meanwhile.
    fn delete(&mut self, token: TokenNumber, attempt: u8) {
        let cached = self.cached(token, 100);
        let longest = self.profile.longest_lease();
        for _ in 0..self.profile.racing_checks {
            let most = if self.random.chance(500) { 100 * MILLISECOND } else { 2 * longest };
            let at = self.now + self.random.magnitude(10_000, most);
            if !cached.is_empty() && self.random.chance(700) {
                let party = cached[self.random.index(cached.len())];
                self.schedule_to(party, at, Event::Check(token));
            } else {
                self.check_anywhere(token, at);
            }
        }
        self.begin_delete(token, attempt);
    }

    /// A delete has returned OK: whoever may still have the token is asked at once, and now and then.
    pub(super) fn after_delete(&mut self, token: TokenNumber) {
        let longest = self.profile.longest_lease();
        for party in self.cached(token, usize::MAX) {
            for most in [1, MILLISECOND, 100 * MILLISECOND, SECOND, 2 * longest] {
                let at = self.now + self.random.magnitude(1, most);
                self.schedule_to(party, at, Event::Check(token));
            }
        }
        for _ in 0..4 {
            let at = self.now + self.random.magnitude(1, longest);
            self.check_anywhere(token, at);
        }
    }

    /// Something has changed in the store: some of the tokens are deleted soon after.
    pub(super) fn delete_a_few(&mut self) {
        for _ in 0..self.random.between(1, 4) {
            if !self.live.is_empty() {
                let token = self.live[self.random.index(self.live.len())];
                let at = self.now + self.random.magnitude(MILLISECOND, 3 * SECOND);
                self.schedule(at, Event::Delete { token, attempt: 0 });
            }
        }
    }

    /// A holder has come to a replica: if that has no lease yet, a token may be deleted while it begins.
    pub(super) fn after_open(&mut self, replica: usize) {
        let machine = self.nodes[replica].machine.as_ref();
        let begins = machine.is_some_and(|machine| machine.lease_until() == Moment::NEVER);
        if begins && self.random.chance(self.profile.deleted_at_boot) {
            let at = self.now + self.random.magnitude(MILLISECOND, SECOND / 2);
            self.schedule(at, Event::DeleteCached { replica });
        }
    }

    /// Deletes a token that a holder on a stream to this replica has cached, if there is one.
    pub(super) fn delete_cached(&mut self, replica: usize) {
        let here = |stream: usize| self.streams[stream].replica == replica;
        let holders = self.holders.iter().filter(|holder| holder.stream.is_some_and(here));
        let holders: Vec<_> = holders.map(|holder| &holder.cache).collect();
        let cached = |token: &&TokenNumber| holders.iter().any(|cache| cache.get(&digest(**token)).is_some());
        if let Some(token) = self.live.iter().find(cached).copied() {
            self.delete(token, 0);
        }
    }
}
