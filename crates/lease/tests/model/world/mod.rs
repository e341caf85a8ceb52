//! The abstract world around the machines: a store, replicas, a holder, streams, verifications and a deleter,
//! each with a clock. This file has its state; what can happen is in `actions.rs`, and how in the others.

mod actions;
mod check;
mod config;
mod deleting;
mod holding;
mod replicating;
mod store;
mod verifying;
mod witness;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{
    Cache, Deletion, Down, Entry, FlightId, Holder, HolderId, Moment, Position, Read, Replica, ReplicaConfig,
    ReplicaId, Up,
};

pub(crate) use actions::Action;
pub(crate) use check::explore;
pub(crate) use config::{Config, LEASE, Mutant};
use store::Store;
pub(crate) use witness::{Event, Witness};

/// The model: its configuration, and what was seen while it was explored.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) witness: Arc<Witness>,
}

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// True time, in steps; nobody sees it.
    now: u8,
    /// The primary is the last; before it the old one, after a failover.
    stores: Vec<Store>,
    replicas: Vec<Node>,
    holder: Holding,
    streams: Vec<Stream>,
    verifications: Vec<Verification>,
    deletion: Option<Deleting>,
    repeat: Option<Deletion>,
    left: Left,
    nonces: u64,
    /// DeleteToken returned OK.
    pub(crate) deleted: bool,
    /// An accept began after that.
    pub(crate) stale: bool,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Left {
    renewals: [u8; 2],
    grants: u8,
    crashes: u8,
    streams: u8,
    verifications: u8,
    deletes: u8,
    repeats: u8,
    others: u8,
    forks: u8,
    steps_back: u8,
    releases: u8,
}

/// A replica's process, or where there was one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    machine: Option<Replica>,
    cache: Cache<()>,
    op: Option<Op>,
    renewed: Option<u8>,
    incarnation: u8,
    /// The store of its renewals, and that of its reads.
    store: usize,
    pool: usize,
}

/// A statement on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Row { n: u64, lease: Duration, snapshot: Option<Vec<Entry>> },
    Head,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Holding {
    machine: Holder,
    cache: Cache<()>,
    renewed: Option<u8>,
    /// How far its clock was set back.
    set_back: u64,
}

/// A stream, by the holder's count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    number: u64,
    replica: usize,
    incarnation: u8,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
}

/// A VerifyToken on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Verification {
    replica: usize,
    flight: FlightId,
    asked: Option<Position>,
    stage: Stage,
    /// The request, or one that shares its answer, came after the deletion had returned.
    late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Asked,
    Reading(Read),
    Answered { good: bool, cacheable: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Deleting {
    machine: Deletion,
    stage: Deletes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Deletes {
    Begun,
    Committed { position: Position, max_lease: Duration },
    Waiting { position: Position },
    Ended,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, witness: Arc::default() }
    }

    /// Where everything begins: with nobody registered, or with everyone leased and the token cached.
    pub(crate) fn start(&self) -> State {
        let config = &self.config;
        let replicas = (0..config.replicas).map(|_| Node {
            machine: None,
            cache: Cache::new(9),
            op: None,
            renewed: None,
            incarnation: 0,
            store: 0,
            pool: 0,
        });
        let holder = Holding {
            machine: Holder::new(HolderId(1), config.rules()),
            cache: Cache::new(9),
            renewed: None,
            set_back: 0,
        };
        let left = Left {
            renewals: config.renewals,
            grants: config.grants,
            crashes: config.crashes,
            streams: config.streams,
            verifications: config.verifications,
            deletes: config.deletes,
            repeats: config.repeats,
            others: config.others,
            forks: config.forks,
            steps_back: u8::from(config.is(Mutant::WallClock)),
            releases: u8::from(config.departures),
        };
        let mut state = State {
            now: 0,
            stores: vec![Store::new()],
            replicas: replicas.collect(),
            holder,
            streams: Vec::new(),
            verifications: Vec::new(),
            deletion: None,
            repeat: None,
            left,
            nonces: 0,
            deleted: false,
            stale: false,
        };
        for replica in 0..config.replicas {
            self.boot(&mut state, replica);
        }
        state.left.streams += 1;
        self.warm_up(&mut state);
        if config.cold {
            self.cool_down(&mut state);
        }
        state.left = left;
        state
    }

    /// Everyone gets a lease and caches the token.
    fn warm_up(&self, state: &mut State) {
        for replica in 0..self.config.replicas {
            self.renew_replica(state, replica);
            while state.replicas[replica].op.is_some() {
                self.execute(state, replica);
            }
            self.warm_cache(state, replica);
        }
        self.connect(state, 0);
        let deliver = |state: &mut State| {
            while state.streams[0].up.front().is_some() || state.streams[0].down.front().is_some() {
                self.deliver_up(state, 0);
                self.deliver_down(state, 0, false);
            }
        };
        deliver(state);
        self.renew_holder(state);
        deliver(state);
        self.warm_holder(state);
    }

    /// Everyone left in peace: what remains is the holder's cache. The replicas have just been started again.
    fn cool_down(&self, state: &mut State) {
        state.now += 3;
        state.streams.clear();
        for replica in 0..self.config.replicas {
            let node = &mut state.replicas[replica];
            if let Some(machine) = node.machine.take() {
                state.stores[0].remove_row(machine.id(), 1);
            }
            node.incarnation += 1;
            node.renewed = None;
            node.cache.clear();
            self.boot(state, replica);
        }
    }

    /// Starts a replica's process.
    fn boot(&self, state: &mut State, replica: usize) {
        let incarnation = state.replicas[replica].incarnation;
        let life = if self.config.is(Mutant::IdReused) { 0 } else { u128::from(incarnation) };
        let config = ReplicaConfig {
            id: ReplicaId(u128::try_from(replica).expect("small") + 10 * life),
            lease: Duration::from_nanos(LEASE),
            remembered: self.config.remembered,
            rules: self.config.rules(),
        };
        let primary = state.stores.len() - 1;
        let node = &mut state.replicas[replica];
        node.machine = Some(Replica::new(config));
        (node.store, node.pool) = (primary, primary);
    }

    /// A clock's reading. It begins late enough to be set back once.
    fn clock(&self, state: &State, party: usize) -> Moment {
        let set_back = if party == 1 { state.holder.set_back } else { 0 };
        Moment::from_nanos(1000 + u64::from(state.now) * self.config.rates[party] - set_back)
    }

    fn deleter_clock(&self, state: &State) -> Moment {
        self.clock(state, 0)
    }

    fn holder_clock(&self, state: &State) -> Moment {
        self.clock(state, 1)
    }

    fn replica_clock(&self, state: &State, replica: usize) -> Moment {
        self.clock(state, 2 + replica)
    }

    fn accept(&self, state: &mut State, late: bool, event: Event) {
        self.witness.saw(event);
        state.stale |= late;
    }
}
