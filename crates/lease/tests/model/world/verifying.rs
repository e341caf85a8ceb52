//! Requests, and the verifications that they cause.

use gatekey_lease::{Begun, Position, Read, Rule, WallTime};

use super::store::TOKEN;
use super::{Event, Mutant, Stage, State, Verification, World};

impl World {
    /// Somebody presents the token to the holder.
    pub(super) fn request(&self, state: &mut State, ask: usize) {
        let late = state.deleted;
        if self.hit(state) {
            self.accept(state, late, Event::HitAccepted);
            return;
        }
        let now = self.holder_clock(state);
        let before = state.holder.machine.clone();
        match state.holder.machine.miss(now, TOKEN) {
            Begun::Lead(_) if state.left.verifications == 0 => state.holder.machine = before,
            Begun::Lead(flight) => {
                state.left.verifications -= 1;
                let asked = state.holder.machine.send(flight);
                let verification = Verification { replica: ask, flight, asked, stage: Stage::Asked, late };
                if state.replicas[ask].machine.is_some() {
                    state.verifications.push(verification);
                } else {
                    state.holder.machine.ended(flight);
                }
            }
            Begun::Share(flight) => {
                for verification in &mut state.verifications {
                    verification.late |= late && verification.flight == flight;
                }
            }
            // When the flight ends it comes as a new request.
            Begun::LookAgain(_) => {}
        }
    }

    /// The question arrives: the replica answers from its cache, or asks the store.
    pub(super) fn replica_verifies(&self, state: &mut State, place: usize) {
        let Verification { replica, asked, .. } = state.verifications[place];
        let now = self.replica_clock(state, replica);
        let cached = state.replicas[replica].cache.get(&TOKEN).is_some();
        let two_reads = self.config.is(Mutant::TwoReads);
        let in_store = self.store_contains(state, state.replicas[replica].store, asked);
        let node = &mut state.replicas[replica];
        let Some(machine) = &mut node.machine else { return };
        let stage = match machine.from_cache(now, asked) {
            Some(from_cache) if cached => {
                self.witness.saw(Event::AnswerFromReplicaCache);
                let cacheable = if two_reads { in_store } else { from_cache.cacheable };
                Stage::Answered { good: true, cacheable }
            }
            _ => match machine.send_read(now, TOKEN, asked) {
                Some(read) => Stage::Reading(read),
                None => Stage::Answered { good: false, cacheable: false },
            },
        };
        state.verifications[place].stage = stage;
        if !self.config.slow_reads {
            self.store_reads(state, place);
        }
    }

    fn store_contains(&self, state: &State, store: usize, position: Option<Position>) -> bool {
        let bare = self.config.is(Mutant::Machine(Rule::AsOfByPosition));
        position.is_some_and(|position| {
            if bare {
                state.stores[store].contains_number(position)
            } else {
                state.stores[store].contains(position)
            }
        })
    }

    /// The store answers a read: token, head and the replica's position in one statement.
    pub(super) fn store_reads(&self, state: &mut State, place: usize) {
        let Verification { replica, ref stage, .. } = state.verifications[place];
        let Stage::Reading(read) = *stage else { return };
        let pool = state.replicas[replica].pool;
        let good = state.stores[pool].tombstone().is_none();
        let contains = self.store_contains(state, pool, Some(read.position));
        let cacheable = if good { self.read_positive(state, replica, read, contains) } else { None };
        if !good && let Some(machine) = &mut state.replicas[replica].machine {
            machine.read_ended(read);
        }
        if good && cacheable.is_none() {
            self.witness.saw(Event::ReadRefused);
        }
        let (good, cacheable) = (cacheable.is_some(), cacheable.unwrap_or(false));
        state.verifications[place].stage = Stage::Answered { good, cacheable };
    }

    fn read_positive(&self, state: &mut State, replica: usize, read: Read, contains: bool) -> Option<bool> {
        let now = self.replica_clock(state, replica);
        let caches = self.config.replica_caches;
        let node = &mut state.replicas[replica];
        let answer = node.machine.as_mut()?.read_positive(now, read, contains).ok()?;
        if let Some(permit) = answer.permit
            && caches
        {
            node.cache.insert(permit, TOKEN, WallTime(1), ());
        }
        Some(answer.cacheable)
    }

    /// The answer arrives at the holder.
    pub(super) fn answer(&self, state: &mut State, place: usize) {
        let Verification { flight, stage, late, .. } = state.verifications.remove(place);
        let holder = &mut state.holder;
        match stage {
            Stage::Answered { good: true, cacheable } => {
                if let Some(permit) = holder.machine.answered(flight, cacheable) {
                    self.witness.saw(Event::AnswerCached);
                    holder.cache.insert(permit, TOKEN, WallTime(1), ());
                } else {
                    self.witness.saw(Event::AnswerKeptOut);
                }
                self.accept(state, late, Event::AnswerAccepted);
            }
            _ => holder.machine.ended(flight),
        }
    }

    pub(super) fn lose(state: &mut State, place: usize) {
        let verification = state.verifications.remove(place);
        state.holder.machine.ended(verification.flight);
    }

    /// The replica begins with the token in its cache, if it has one.
    pub(super) fn warm_cache(&self, state: &mut State, replica: usize) {
        if self.config.replica_caches {
            let now = self.replica_clock(state, replica);
            let read = state.replicas[replica]
                .machine
                .as_mut()
                .and_then(|machine| machine.send_read(now, TOKEN, None));
            if let Some(read) = read {
                self.read_positive(state, replica, read, true);
            }
        }
    }
}
