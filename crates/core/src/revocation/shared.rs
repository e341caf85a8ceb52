//! What the tasks of a replica share: the machine and its maps under one lock, and the queue of what is to be done
//! in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gatekey_lease::{Cache, Down, Effect, Moment, Negatives, Replica, ReplicaId, Seq, StreamId};
use gatekey_model::Token;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::CACHED;
use super::answers::Negative;
use super::status::Counts;
use super::waits::Waits;
use crate::{Clock, Confirmation, Store};

/// What the tasks share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) id: ReplicaId,
    pub(super) lease: Duration,
    state: Mutex<State>,
    /// Follows the machine's, for whoever waits for a lease.
    pub(super) lease_until: watch::Sender<Moment>,
    /// How many streams of holders are open.
    pub(super) streams: watch::Sender<usize>,
    /// Whether it has left: its row is gone.
    pub(super) left: watch::Sender<bool>,
    /// Whether one of the tasks has ended.
    pub(super) ended: watch::Sender<bool>,
    pub(super) waits: Waits,
    pub(super) counts: Counts,
}

/// What one lock guards. Effects are carried out, or queued in their order, before it is released.
pub(super) struct State {
    pub(super) machine: Replica,
    pub(super) cache: Cache<Arc<Token>>,
    pub(super) negatives: Negatives<Negative>,
    /// The way to each open stream: one queue for all that is said on it.
    pub(super) queues: HashMap<StreamId, mpsc::Sender<Down>>,
    pub(super) streams: u64,
    ops: mpsc::UnboundedSender<Op>,
    /// A reading of the log is queued and not begun: it will find whatever is new until then.
    log_queued: bool,
}

/// What is to be done in the store, on the replica's line and in this order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    CommitRow { n: u64, lease: Duration },
    ReadHead,
    ReadLog { from: Seq },
    ReadRows,
    RenewConnections,
    Confirm(Confirmation),
    RemoveRow { id: ReplicaId, n: u64 },
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        machine: Replica,
        lease: Duration,
        negatives: Negatives<Negative>,
        ops: mpsc::UnboundedSender<Op>,
    ) -> Self {
        let id = machine.id();
        let state = State {
            machine,
            cache: Cache::new(CACHED),
            negatives,
            queues: HashMap::new(),
            streams: 0,
            ops,
            log_queued: false,
        };
        Self {
            store,
            clock,
            id,
            lease,
            state: Mutex::new(state),
            lease_until: watch::Sender::new(Moment::NEVER),
            streams: watch::Sender::new(0),
            left: watch::Sender::new(false),
            ended: watch::Sender::new(false),
            waits: Waits::default(),
            counts: Counts::default(),
        }
    }

    /// Does something under the lock. The clock is read inside, so that moments come in the order of events.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, Moment) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.machine.lease_until();
        let now = self.clock.moment();
        let done = act(&mut state, now);
        let after = state.machine.lease_until();
        if before != after {
            self.lease_until.send_replace(after);
        }
        let streams = state.queues.len();
        self.streams.send_if_modified(|known| std::mem::replace(known, streams) != streams);
        drop(state);
        if before != after {
            self.tell_lease(now, before, after);
        }
        done
    }

    /// Tells the machine of something, and carries out what it wants done.
    pub(super) fn tell(&self, event: impl FnOnce(&mut Replica, Moment) -> Vec<Effect>) {
        self.with(|state, now| {
            let effects = event(&mut state.machine, now);
            state.apply(now, effects);
        });
    }

    fn tell_lease(&self, now: Moment, before: Moment, after: Moment) {
        if after == Moment::NEVER {
            info!("the lease is given up");
        } else if before <= now {
            info!(lease_s = self.lease.as_secs(), "has a lease");
        }
    }
}

impl State {
    /// Carries effects out in their order; what is to be done in the store is queued.
    pub(super) fn apply(&mut self, now: Moment, effects: Vec<Effect>) {
        let mut slow = Vec::new();
        for effect in effects {
            match effect {
                Effect::Drop(digests) => self.cache.drop_all(&digests),
                Effect::Clear => {
                    self.cache.clear();
                    self.negatives.clear();
                    warn!("history forked, or it is another epoch: all that was cached is dropped");
                }
                Effect::Send { stream, message } => slow.extend(self.send(stream, message)),
                Effect::Close { stream } => drop(self.queues.remove(&stream)),
                Effect::CommitRow { n, lease } => self.queue(Op::CommitRow { n, lease }),
                Effect::ReadHead => self.queue(Op::ReadHead),
                Effect::ReadLog { from } => {
                    if !std::mem::replace(&mut self.log_queued, true) {
                        self.queue(Op::ReadLog { from });
                    }
                }
                Effect::ClosePool => self.queue(Op::RenewConnections),
                Effect::Confirm { position, confirmed, waited_out } => {
                    self.queue(Op::Confirm(Confirmation { position, confirmed, waited_out }));
                }
                Effect::RemoveRow { id, n } => self.queue(Op::RemoveRow { id, n }),
            }
        }
        // A slow reader's session ends here and is not waited for beyond its grants.
        for stream in slow {
            warn!(stream = stream.0, "a holder does not read what it is told: its stream is cut off");
            let effects = self.machine.broken(now, stream);
            self.apply(now, effects);
        }
    }

    /// Queues a message; the stream, if its queue is full.
    fn send(&mut self, stream: StreamId, message: Down) -> Option<StreamId> {
        let sent = self.queues.get(&stream)?.try_send(message);
        if sent.is_ok() {
            return None;
        }
        self.queues.remove(&stream);
        Some(stream)
    }

    pub(super) fn queue(&mut self, op: Op) {
        // The receiver ends with the process.
        self.ops.send(op).ok();
    }

    /// The line begins to read the log: whatever is new from now on needs another reading.
    pub(super) fn log_begun(&mut self) {
        self.log_queued = false;
    }
}
