//! Checks of tokens: at holders, from the cache or by a flight, and at replicas, from the cache or by a read.

use gatekey_lease::{Begun, FlightId, Position, Read, WallTime, may_use};

use super::event::{Asker, CallAnswer, Event, Found, Party, What};
use super::parties::Call;
use super::{World, say};
use crate::counts::Count;
use crate::history::{Answer, Nanos, Place};
use crate::mutant::Mutant;
use crate::profile::{MILLISECOND, SECOND};
use crate::store::{Stored, TokenNumber, digest};

/// Tokens of the simulation do not expire.
const EXPIRES: WallTime = WallTime(1);
const WALL: WallTime = WallTime(0);

impl World {
    fn record(&mut self, place: Party, token: TokenNumber, invoked: Nanos, answer: Answer) {
        let number = |place: usize| u32::try_from(place).expect("there are fewer processes");
        let place = match place {
            Party::Replica(replica) => Place::Replica(number(replica)),
            Party::Holder(holder) => Place::Holder(number(holder)),
        };
        say!(self, "{place}: token {token} {answer:?}, asked at {}", super::in_seconds(invoked));
        self.recording.checked(token, place, (invoked, self.now), answer);
    }

    /// Somebody presents a token to a holder. The check begins when the holder takes it up.
    pub(super) fn request(&mut self, holder: usize, token: TokenNumber, invoked: Nanos) {
        let now = self.holder_clock(holder);
        let digest = digest(token);
        let node = &mut self.holders[holder];
        let cached = node.cache.get(&digest);
        if cached.is_some_and(|(expires, ())| may_use(node.lease, now, expires, WALL)) {
            self.counts.saw(Count::CachedAccept);
            self.record(Party::Holder(holder), token, invoked, Answer::Accepted);
            return;
        }
        if node.negatives.contains(&digest, now) {
            self.counts.saw(Count::KnownBad);
            self.record(Party::Holder(holder), token, invoked, Answer::Rejected);
            return;
        }
        let Some(machine) = &mut node.machine else { return };
        match machine.miss(now, digest) {
            Begun::Lead(flight) => {
                node.flights.entry(flight).or_default().sharing.push(invoked);
                let late = self.random.chance(300);
                let at =
                    if late { self.now + self.random.magnitude(1000, 5 * MILLISECOND) } else { self.now };
                self.schedule_to(Party::Holder(holder), at, Event::Ask { flight, token });
            }
            Begun::Share(flight) => {
                self.counts.saw(Count::SharedAnswer);
                self.holders[holder].flights.entry(flight).or_default().sharing.push(invoked);
            }
            Begun::LookAgain(flight) => {
                self.counts.saw(Count::LookedAgain);
                self.holders[holder].flights.entry(flight).or_default().looking_again.push(invoked);
            }
        }
    }

    /// The leader of a flight sends its question, to any replica.
    pub(super) fn ask(&mut self, holder: usize, flight: FlightId, token: TokenNumber) {
        let replica = self.random.index(self.nodes.len());
        let sent = self.holder_clock(holder);
        let node = &mut self.holders[holder];
        let holder_life = node.process.life;
        let Some(machine) = &mut node.machine else { return };
        let asked = machine.send(flight);
        let call = self.calls.len();
        self.calls.push(Call { holder, holder_life, replica, flight, token, asked, sent, open: true });
        let stalled = self.link(holder, replica).up_stalled_until;
        let at = self.now.max(stalled) + self.latency();
        self.schedule_to(Party::Replica(replica), at, Event::Verify { call });
        let patience = if self.alive(replica) { SECOND + self.random.below(2 * SECOND) } else { MILLISECOND };
        let timeout = Event::Answer { call, answer: CallAnswer::Nothing };
        self.schedule_to(Party::Holder(holder), self.now + patience, timeout);
    }

    /// A holder's question arrives.
    pub(super) fn verify(&mut self, replica: usize, call: usize) {
        let Call { token, asked, .. } = self.calls[call];
        say!(self, "replica {replica} is asked for token {token} at {asked:?}");
        let now = self.replica_clock(replica);
        let two_reads = self.profile.is(Mutant::TwoReads);
        let pool = self.pool_store(replica);
        let node = &mut self.nodes[replica];
        let Some(machine) = &mut node.machine else { return };
        let cached = node.cache.get(&digest(token)).is_some();
        if let Some(from_cache) = machine.from_cache(now, asked).filter(|_| cached) {
            let in_store = || asked.is_some_and(|asked| self.stores[pool].contains(asked));
            let cacheable = if two_reads { in_store() } else { from_cache.cacheable };
            self.answer_call(call, CallAnswer::Good { cacheable });
            return;
        }
        if node.negatives.contains(&digest(token), now) {
            self.counts.saw(Count::KnownBad);
            self.answer_call(call, CallAnswer::Bad);
            return;
        }
        if let Some(effect) = asked.and_then(|asked| machine.behind(asked)) {
            self.drive(replica, |_| vec![effect]);
        }
        self.send_read(replica, token, asked, Asker::Call(call));
    }

    fn send_read(&mut self, replica: usize, token: TokenNumber, asked: Option<Position>, asker: Asker) {
        let now = self.replica_clock(replica);
        let machine = self.nodes[replica].machine.as_mut();
        let Some(read) = machine.and_then(|machine| machine.send_read(now, digest(token), asked)) else {
            self.tell(replica, token, asker, CallAnswer::Nothing);
            return;
        };
        let (store, at) = (self.pool_store(replica), self.soon());
        self.send_statement(replica, store, at, What::Read { read, token, asker });
    }

    /// Somebody presents a token to a replica.
    pub(super) fn check_at_replica(&mut self, replica: usize, token: TokenNumber) {
        let now = self.replica_clock(replica);
        let node = &self.nodes[replica];
        let Some(machine) = &node.machine else { return };
        let asker = Asker::Direct { invoked: self.now };
        if machine.from_cache(now, None).is_some() && node.cache.get(&digest(token)).is_some() {
            self.counts.saw(Count::CachedAcceptAtReplica);
            self.record(Party::Replica(replica), token, self.now, Answer::Accepted);
        } else if node.negatives.contains(&digest(token), now) {
            self.counts.saw(Count::KnownBad);
            self.record(Party::Replica(replica), token, self.now, Answer::Rejected);
        } else {
            self.send_read(replica, token, None, asker);
        }
    }

    /// Tells whoever asked.
    fn tell(&mut self, replica: usize, token: TokenNumber, asker: Asker, told: CallAnswer) {
        match asker {
            Asker::Call(call) => self.answer_call(call, told),
            Asker::Direct { invoked } => {
                let answer = match told {
                    CallAnswer::Good { .. } => Answer::Accepted,
                    CallAnswer::Bad => Answer::Rejected,
                    CallAnswer::Nothing => Answer::CannotTell,
                };
                self.record(Party::Replica(replica), token, invoked, answer);
            }
        }
    }

    /// The store answered a read, or the read failed.
    pub(super) fn read_done(
        &mut self,
        replica: usize,
        read: Read,
        token: TokenNumber,
        (asker, found): (Asker, Option<Found>),
    ) {
        let now = self.replica_clock(replica);
        let caches = self.profile.replica_caches;
        let node = &mut self.nodes[replica];
        let Some(machine) = &mut node.machine else { return };
        let unknowns = self.profile.unknowns;
        let told = match found {
            // A known limit: see the option.
            Some(Found { token: Stored::Absent, primary: false, .. }) if !unknowns => {
                machine.read_ended(read);
                CallAnswer::Nothing
            }
            Some(Found { token: Stored::Live, contains, .. }) => {
                if let Ok(answer) = machine.read_positive(now, read, contains) {
                    self.counts.saw(Count::ReadAccept);
                    if let Some(permit) = answer.permit.filter(|_| caches) {
                        node.cache.insert(permit, digest(token), EXPIRES, ());
                    }
                    CallAnswer::Good { cacheable: answer.cacheable }
                } else {
                    self.counts.saw(Count::ReadRefused);
                    CallAnswer::Nothing
                }
            }
            Some(_) => {
                machine.read_ended(read);
                node.negatives.insert(digest(token), now, ());
                CallAnswer::Bad
            }
            None => {
                machine.read_ended(read);
                CallAnswer::Nothing
            }
        };
        self.tell(replica, token, asker, told);
    }

    fn answer_call(&mut self, call: usize, answer: CallAnswer) {
        let Call { holder, holder_life, replica, .. } = self.calls[call];
        let stalled = self.link(holder, replica).down_stalled_until;
        let at = self.now.max(stalled) + self.latency();
        self.schedule_to_life(Party::Holder(holder), holder_life, at, Event::Answer { call, answer });
    }

    /// A holder has an answer, or has waited for long enough.
    pub(super) fn answered(&mut self, holder: usize, call: usize, answer: CallAnswer) {
        if !std::mem::replace(&mut self.calls[call].open, false) {
            return;
        }
        let Call { flight, token, sent, .. } = self.calls[call];
        let node = &mut self.holders[holder];
        let Some(machine) = &mut node.machine else { return };
        let waiting = node.flights.remove(&flight).unwrap_or_default();
        let said = match answer {
            CallAnswer::Good { cacheable } => {
                if let Some(permit) = machine.answered(flight, cacheable) {
                    node.cache.insert(permit, digest(token), EXPIRES, ());
                    self.counts.saw(Count::EnteredCache);
                } else {
                    self.counts.saw(Count::KeptOut);
                }
                Answer::Accepted
            }
            CallAnswer::Bad => {
                machine.ended(flight);
                node.negatives.insert(digest(token), sent, ());
                Answer::Rejected
            }
            CallAnswer::Nothing => {
                machine.ended(flight);
                Answer::CannotTell
            }
        };
        for invoked in waiting.sharing {
            self.record(Party::Holder(holder), token, invoked, said);
        }
        for invoked in waiting.looking_again {
            self.request(holder, token, invoked);
        }
    }
}
