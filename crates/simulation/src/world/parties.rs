//! What the world keeps of each process, stream, call and delete.

use std::collections::{BTreeMap, VecDeque};

use gatekey_lease::{
    Cache, Deletion, FlightId, Holder, HolderId, Moment, Negatives, Position, Replica, ReplicaId,
};

use super::event::{Event, Op};
use crate::clock::Clock;
use crate::history::{DeleteId, Nanos};
use crate::store::TokenNumber;

/// What every process has.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) clock: Clock,
    /// Counts its starts and ends, so that nothing meant for one life reaches another.
    pub(super) life: u32,
    pub(super) paused: bool,
    /// What came while it was paused.
    pub(super) backlog: VecDeque<Event>,
}

impl Process {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, life: 0, paused: false, backlog: VecDeque::new() }
    }

    /// This life is over.
    pub(super) fn end(&mut self) {
        self.life += 1;
        self.paused = false;
        self.backlog.clear();
    }
}

/// A replica's process, or where there was one.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) process: Process,
    /// L, in nanoseconds.
    pub(super) lease: u64,
    pub(super) id: ReplicaId,
    pub(super) machine: Option<Replica>,
    pub(super) cache: Cache<()>,
    pub(super) negatives: Negatives,
    pub(super) link: StoreLink,
    /// The store of its reads and writes, and another one to which some of those connections still lead.
    pub(super) pool: usize,
    pub(super) pool_old: Option<usize>,
    /// They are being closed.
    pub(super) pool_closing: bool,
    pub(super) isolated_until: Nanos,
    pub(super) tick_at: Option<Nanos>,
    pub(super) poll_armed: bool,
    pub(super) leaving: bool,
}

/// A replica's renewal connection.
#[derive(Debug, Default)]
pub(super) struct StoreLink {
    /// Which one it is.
    pub(super) conn: u64,
    /// This life has had one.
    pub(super) made: bool,
    pub(super) up: bool,
    pub(super) store: usize,
    pub(super) queue: VecDeque<Op>,
    /// A statement is under way since then.
    pub(super) busy: Option<Nanos>,
}

/// A holder's process, or where there was one.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) process: Process,
    pub(super) id: HolderId,
    pub(super) machine: Option<Holder>,
    pub(super) cache: Cache<()>,
    pub(super) negatives: Negatives,
    /// As it was published to whoever checks.
    pub(super) lease: Moment,
    pub(super) stream: Option<usize>,
    pub(super) opening: bool,
    pub(super) unanswered: u32,
    /// The length of the last grant, or what is taken for it.
    pub(super) ttl: u64,
    pub(super) flights: BTreeMap<FlightId, Waiting>,
}

/// Requests that wait for a flight, by when they were invoked.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) sharing: Vec<Nanos>,
    pub(super) looking_again: Vec<Nanos>,
}

/// One way between a holder and a replica.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    pub(super) up_stalled_until: Nanos,
    pub(super) down_stalled_until: Nanos,
}

/// A stream between a holder and a replica, each in one of its lives.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) holder: usize,
    pub(super) holder_life: u32,
    pub(super) replica: usize,
    pub(super) replica_life: u32,
    pub(super) holder_open: bool,
    pub(super) replica_open: bool,
    pub(super) hello_heard: bool,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
}

/// One direction of a stream: ordered, and complete up to where it is cut.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// When the last message arrives.
    pub(super) last: Nanos,
    pub(super) stalled_until: Nanos,
    /// What is said from now on is lost.
    pub(super) dead: bool,
    /// What arrives after this is lost too.
    pub(super) cut: Option<Nanos>,
}

/// A VerifyToken of a holder.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) holder: usize,
    pub(super) holder_life: u32,
    pub(super) replica: usize,
    pub(super) flight: FlightId,
    pub(super) token: TokenNumber,
    pub(super) asked: Option<Position>,
    /// When it was sent, on the holder's clock.
    pub(super) sent: Moment,
    /// The holder waits for the answer.
    pub(super) open: bool,
}

/// A DeleteToken.
#[derive(Debug)]
pub(super) struct Delete {
    pub(super) token: TokenNumber,
    pub(super) attempt: u8,
    pub(super) replica: usize,
    pub(super) record: DeleteId,
    pub(super) machine: Option<Deletion>,
    pub(super) position: Option<Position>,
    pub(super) stage: Stage,
    /// What its transaction wrote is gone.
    pub(super) lost: bool,
    /// The rows are being read for it.
    pub(super) reading: bool,
    /// They have changed since that was begun, so they have to be read again.
    pub(super) changed: bool,
}

/// How far a DeleteToken has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    /// Its commit was acknowledged.
    Waiting,
    Over,
}
