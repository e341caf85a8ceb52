//! What a holder's stream and its checks share: the machine, and the cache that it rules.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gatekey_lease::{
    Cache, Down, FlightId, Holder, HolderEffect, HolderId, Moment, Negatives, Position, Rules,
};
use gatekey_proto::v1;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{HolderStart, Outcome, wire};
use crate::{Client, Clock};

/// More tokens than any test has.
const CAPACITY: usize = 1 << 20;
/// How long a negative answer is kept: less than the shortest lease.
const NEGATIVES_LIVE: Duration = Duration::from_secs(1);

/// What a holder has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams opened.
    pub streams: u64,
    /// Leases granted.
    pub grants: u64,
    /// Tokens that it was told to drop.
    pub invalidations: u64,
    /// Times that it began anew with an empty cache.
    pub resets: u64,
    /// Accepts from the cache.
    pub cached: u64,
    /// Verifications sent.
    pub asked: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) endpoints: Vec<Client>,
    state: Mutex<State>,
    leaving: watch::Sender<Leaving>,
}

/// How far its graceful end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    Not,
    Asked,
    Done,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) machine: Holder,
    pub(super) cache: Cache<()>,
    pub(super) negatives: Negatives<()>,
    /// The flights under way, for those who wait for one: its leader's outcome, once there is one.
    pub(super) flights: HashMap<FlightId, watch::Sender<Option<Outcome>>>,
    pub(super) counts: Counts,
    /// The endpoint of its current stream, or of the last.
    pub(super) endpoint: usize,
    out: Option<mpsc::UnboundedSender<v1::WatchRequest>>,
}

/// What a message meant to the stream's schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A lease of this length.
    Lease(Duration),
    /// A Renew from before it is void.
    Reset,
    Nothing,
}

impl Shared {
    pub(super) fn new(start: &HolderStart, clock: Clock) -> Self {
        let state = State {
            machine: Holder::new(HolderId(Uuid::new_v4().as_u128()), Rules::ALL),
            cache: Cache::new(CAPACITY),
            negatives: Negatives::new(CAPACITY, NEGATIVES_LIVE),
            flights: HashMap::new(),
            counts: Counts::default(),
            endpoint: start.first,
            out: None,
        };
        let connect = |address| Client::connect(address, Some(&start.jwt));
        Self {
            clock,
            endpoints: start.endpoints.iter().copied().map(connect).collect(),
            state: Mutex::new(state),
            leaving: watch::Sender::new(Leaving::Not),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with it")
    }

    pub(super) fn leased(&self) -> bool {
        let lease_until = self.lock().machine.lease_until();
        self.clock.now() < lease_until
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Has the stream's task end.
    pub(super) fn leave(&self) {
        self.leaving.send_replace(Leaving::Asked);
    }

    pub(super) fn left(&self) -> bool {
        *self.leaving.borrow() != Leaving::Not
    }

    pub(super) async fn leaves(&self) {
        self.comes_to(|leaving| leaving != Leaving::Not).await;
    }

    /// The stream's task has ended.
    pub(super) fn end(&self) {
        self.leaving.send_replace(Leaving::Done);
    }

    pub(super) async fn ended(&self) {
        self.comes_to(|leaving| leaving == Leaving::Done).await;
    }

    async fn comes_to(&self, what: impl Fn(Leaving) -> bool) {
        // The sender lives as long as `self`.
        self.leaving.subscribe().wait_for(|leaving| what(*leaving)).await.ok();
    }

    /// A stream to this endpoint can carry its first messages: what is to be sent on it.
    pub(super) fn connected(&self, endpoint: usize) -> mpsc::UnboundedReceiver<v1::WatchRequest> {
        let (out, sent) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.counts.streams += 1;
        state.endpoint = endpoint;
        state.out = Some(out);
        let effects = state.machine.connected();
        state.carry_out(effects);
        sent
    }

    pub(super) fn renew(&self) {
        let mut state = self.lock();
        // Read under the lock: no later than the message is queued.
        let effects = state.machine.renew(self.clock.now());
        state.carry_out(effects);
    }

    pub(super) fn receive(&self, message: v1::WatchResponse) -> Meant {
        let message = wire::down(message);
        let ttl = if let Down::Grant { ttl, .. } = message { Some(ttl) } else { None };
        let mut state = self.lock();
        let effects = state.machine.receive(self.clock.now(), message);
        // A grant that answers no Renew has none.
        let meant = match ttl.filter(|_| !effects.is_empty()) {
            Some(ttl) => Meant::Lease(ttl),
            None if effects.contains(&HolderEffect::Clear) => Meant::Reset,
            None => Meant::Nothing,
        };
        state.counts.grants += u64::from(matches!(meant, Meant::Lease(_)));
        state.carry_out(effects);
        meant
    }

    /// The leader of a flight went away.
    pub(super) fn give_up(&self, flight: FlightId) {
        // With a lock that somebody panicked with, the test has failed already.
        if let Ok(mut state) = self.state.lock() {
            state.machine.ended(flight);
            state.landed(flight, None);
        }
    }

    /// Says that it uses its cache no more, and ends its part of the stream.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        let effects = state.machine.release();
        state.carry_out(effects);
        state.out = None;
    }
}

impl State {
    /// In their order, before the machine is told anything else.
    fn carry_out(&mut self, effects: Vec<HolderEffect>) {
        for effect in effects {
            match effect {
                // Checks read it from the machine, under the same lock.
                HolderEffect::Lease(_) => {}
                HolderEffect::Drop(digests) => {
                    self.counts.invalidations += digests.len() as u64;
                    self.cache.drop_all(&digests);
                }
                HolderEffect::Clear => {
                    self.counts.resets += 1;
                    self.cache.clear();
                    self.negatives.clear();
                }
                HolderEffect::Send(message) => {
                    if let Some(out) = &self.out {
                        // A stream that broke takes nothing more: its reader sees the end soon.
                        out.send(wire::up(message)).ok();
                    }
                }
            }
        }
    }

    /// The flight is over; those who wait for it are told.
    pub(super) fn landed(&mut self, flight: FlightId, outcome: Option<Outcome>) {
        if let Some(waiting) = self.flights.remove(&flight) {
            waiting.send_replace(outcome);
        }
    }

    /// The leader's question is sent now.
    pub(super) fn send(&mut self, flight: FlightId, now: Moment) -> Sent {
        self.counts.asked += 1;
        Sent { position: self.machine.send(flight), resets: self.counts.resets, at: now }
    }
}

/// How the holder stood when a question was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) position: Option<Position>,
    pub(super) resets: u64,
    pub(super) at: Moment,
}
