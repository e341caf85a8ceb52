//! What the stream, the checks and the guards share: the machine of `gatekey-lease`, and the cache that it rules.
//! Everything that the machine wants done is done here, in its order, under one lock. A hit takes no lock.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_listener::EventListener;
use gatekey_lease::{
    Digest, Down, FlightId, Holder, HolderEffect, HolderId, Moment, Negatives, Position, Rules, Up, may_use,
};
use gatekey_model::PresentedToken;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use uuid::Uuid;

use crate::backend::Backend;
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::guards::Guards;
use crate::known::Known;
use crate::limits::Limits;
use crate::told::Told;
use crate::verify::Verified;
use crate::{Ended, Event};

/// How long a negative answer is kept: the shortest lease that there is.
const NEGATIVES_LIVE: Duration = Duration::from_secs(2);
/// How many negative answers are kept: about 10 MiB.
const NEGATIVES: usize = 65_536;
/// How many events a slow listener may be behind.
const EVENTS: usize = 256;

pub(crate) struct Shared {
    lease: Lease,
    pub(crate) cache: Cache,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    pub(crate) backend: Backend,
    state: Mutex<State>,
    /// The paths that were refused for want of a rule, as far as the log has them.
    unruled: Mutex<Told>,
    /// Until when the lease lives, for those who wait for one.
    pub(crate) leased: watch::Sender<Moment>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Has a new stream opened in place of the current one.
    pub(crate) reopen: Notify,
}

/// Until when the lease lives, as every check reads it; on a cache line of its own, since it is written so often.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lease(AtomicU64);

/// What is read and written under the lock.
pub(crate) struct State {
    pub(crate) machine: Holder,
    pub(crate) index: Index,
    pub(crate) negatives: Negatives,
    pub(crate) guards: Guards,
    /// The flights under way, for those who wait for one: its outcome, once there is one.
    pub(crate) flights: HashMap<FlightId, watch::Sender<Option<Verified>>>,
    /// How many Resets were carried out on all streams.
    pub(crate) resets: u64,
    /// Since when there has been no lease; nothing while there is one.
    pub(crate) lost: Option<Moment>,
    /// A guarded token has to be verified anew: somebody is at it.
    pub(crate) reverifying: bool,
    /// The server that the stream leads to.
    pub(crate) endpoint: Option<Arc<str>>,
    /// What went wrong last and has not gone well since.
    pub(crate) trouble: Option<Arc<str>>,
    /// The trouble that was told since there was a lease.
    told: Told,
    /// What is to be told once the lock is free, in this order.
    events: VecDeque<Event>,
    /// Somebody is at it.
    telling: bool,
    out: Option<mpsc::UnboundedSender<Up>>,
}

impl Shared {
    pub(crate) fn new(capacity: usize, clock: Clock, limits: Limits, backend: Backend) -> Self {
        let state = State {
            machine: Holder::new(fresh_id(), Rules::ALL),
            index: Index::new(capacity),
            negatives: Negatives::new(NEGATIVES, NEGATIVES_LIVE),
            guards: Guards::default(),
            flights: HashMap::new(),
            resets: 0,
            lost: Some(clock.moment()),
            reverifying: false,
            endpoint: None,
            trouble: None,
            told: Told::default(),
            events: VecDeque::new(),
            telling: false,
            out: None,
        };
        Self {
            lease: Lease::default(),
            cache: Cache::new(capacity),
            clock,
            counters: Counters::default(),
            limits,
            backend,
            state: Mutex::new(state),
            unruled: Mutex::default(),
            leased: watch::Sender::new(Moment::NEVER),
            events: broadcast::Sender::new(EVENTS),
            reopen: Notify::new(),
        }
    }

    /// The cached accept: the token is in the cache, and its lease and it itself live. Nothing else counts, and nothing is
    /// written but a bit that is not set yet.
    #[inline]
    pub(crate) fn cached(&self, presented: &PresentedToken<'_>) -> Result<Arc<Known>, Digest> {
        // First, so that what was dropped before this lease came is not found after it: a delete no longer waits for a
        // holder that gave its lease up, and a grant comes after all that it covers.
        let until = self.lease_until();
        // Before the reads of memory, which a clock would wait for; the request has arrived.
        let now = self.clock.moment();
        let known = self.cache.get(presented)?;
        let wall = self.clock.wall_before(known.expires);
        if may_use(until, now, known.expires, wall) { Ok(known) } else { Err(known.digest) }
    }

    #[inline]
    pub(crate) fn lease_until(&self) -> Moment {
        Moment::from_nanos(self.lease.0.load(Ordering::SeqCst))
    }

    /// Whether the cache may be used now.
    pub(crate) fn is_leased(&self) -> bool {
        self.clock.moment() < self.lease_until()
    }

    /// A server has taken a new stream: by this it is told. The lease was for the one before, and ends.
    pub(crate) fn connected(&self, endpoint: Option<Arc<str>>, out: mpsc::UnboundedSender<Up>) {
        let mut state = self.lock();
        state.endpoint = endpoint;
        state.out = Some(out);
        let effects = state.machine.connected();
        self.carry_out(&mut state, effects);
    }

    /// Asks for a lease.
    pub(crate) fn renew(&self) {
        let mut state = self.lock();
        // Read under the lock: no later than the message is queued.
        let effects = state.machine.renew(self.clock.moment());
        self.carry_out(&mut state, effects);
    }

    /// The server said something on the current stream.
    pub(crate) fn receive(&self, message: Down) -> Meant {
        let ttl = if let Down::Grant { ttl, .. } = message { Some(ttl) } else { None };
        let leave = matches!(message, Down::Leave);
        let mut state = self.lock();
        let effects = state.machine.receive(self.clock.moment(), message);
        let reset = effects.contains(&HolderEffect::Clear);
        // A grant that answers no Renew has none.
        let granted = effects.iter().any(|effect| matches!(effect, HolderEffect::Lease(_)));
        self.carry_out(&mut state, effects);
        if leave {
            state.out = None;
            return Meant::Leave;
        }
        if granted && ttl.is_some() {
            // It answers.
            state.trouble = None;
        }
        match ttl {
            Some(ttl) if granted => Meant::Lease(ttl),
            _ if reset => Meant::Reset,
            _ => Meant::Nothing,
        }
    }

    /// Uses the cache no more, says so, and ends its part of the stream.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        let effects = state.machine.release();
        self.carry_out(&mut state, effects);
        state.out = None;
    }

    /// Forgets everything, its own id too: the clock did not count a pause, or this is a copy.
    pub(crate) fn reset(&self) {
        let id = fresh_id();
        let mut state = self.lock();
        let effects = state.machine.reset_all(id);
        self.carry_out(&mut state, effects);
        state.out = None;
        self.reopen.notify_one();
    }

    /// In their order, before the machine is told anything else.
    fn carry_out(&self, state: &mut State, effects: Vec<HolderEffect>) {
        for effect in effects {
            match effect {
                HolderEffect::Lease(until) => self.publish(state, until),
                HolderEffect::Drop(digests) => self.revoke(state, &digests),
                HolderEffect::Clear => {
                    state.resets += 1;
                    self.cache.clear(&mut state.index);
                    state.negatives.clear();
                    state.guards.doubt_all();
                    state.events.push_back(Event::Reset);
                }
                HolderEffect::Send(message) => {
                    if let Some(out) = &state.out {
                        // A stream that broke takes nothing more; its reader sees the end soon.
                        out.send(message).ok();
                    }
                }
            }
        }
    }

    fn publish(&self, state: &mut State, until: Moment) {
        let now = self.clock.moment();
        self.lease.0.store(until.nanos(), Ordering::SeqCst);
        self.leased.send_replace(until);
        if now >= until {
            state.lose(now);
        } else if state.lost.take().is_some() {
            state.trouble = None;
            state.told.clear();
            let endpoint = state.endpoint.clone().unwrap_or_default();
            state.events.push_back(Event::Leased { endpoint });
        }
    }

    /// Out of the cache first, then the guards are told; the acknowledgement comes after both.
    fn revoke(&self, state: &mut State, digests: &[Digest]) {
        for digest in digests {
            if let Some(known) = self.cache.remove(&mut state.index, digest) {
                known.end(Ended::Revoked);
                state.events.push_back(Event::Revoked { id: known.id(), key: known.key().into() });
            }
        }
        state.guards.end(digests, Ended::Revoked);
    }

    /// Has somebody told of a token's end. Look at [`Known::ended`] afterwards: it may have come before.
    pub(crate) fn watch(&self, known: &Arc<Known>) -> EventListener {
        let listener = known.listen();
        if known.is_to_be_listed() {
            // Under the lock, so that no revocation comes between the look and the list.
            let mut state = self.lock();
            let sure = state.index.holds(known);
            state.guards.watch(known, sure);
        }
        listener
    }
}

impl State {
    /// There has been no lease since then, or since before.
    pub(crate) fn lose(&mut self, since: Moment) -> Moment {
        *self.lost.get_or_insert_with(|| {
            self.events.push_back(Event::LeaseLost);
            since
        })
    }
}

/// Nobody is left who could tell of the end of a token, or be asked for one.
impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.guards.end_all(Ended::Unavailable);
    }
}

/// How the holder stood when a question was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) position: Option<Position>,
    pub(crate) resets: u64,
    pub(crate) at: Moment,
}

/// Random bits, so that no other holder, and none of before a restart or a reset, has the same.
fn fresh_id() -> HolderId {
    HolderId(Uuid::new_v4().as_u128())
}

mod held;
mod meant;
mod telling;

pub(crate) use meant::Meant;
#[cfg(test)]
mod tests;
