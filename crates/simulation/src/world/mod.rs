//! The simulated fleet: a store, replicas, holders, streams, calls and deletes, and the time that passes. This file
//! has its state and its clockwork; what each part does is in the files beside it.

mod deleting;
mod event;
mod failing;
mod faults;
mod holding;
mod parties;
mod recording;
mod replicating;
mod storing;
mod streams;
mod verifying;
mod workload;

use std::collections::BinaryHeap;

use gatekey_lease::{Cache, HolderId, Moment, Negatives, ReplicaId, Rules, Seq};

use crate::clock::Clock;
use crate::counts::{Count, Counts};
use crate::history::{Nanos, Report};
use crate::profile::{Options, Profile, SECOND};
use crate::random::Random;
use crate::store::{Store, TokenNumber};
use event::{Event, Party, Scheduled};
pub(crate) use faults::{FAULTS, Fault};
use parties::{Call, Delete, Holding, Link, Node, Process, Stream};
use recording::Recording;

/// Writes a line of the trace, if one is wanted.
macro_rules! say {
    ($world:expr, $($argument:tt)*) => {
        if let Some(trace) = $world.trace {
            trace(&format!("{:>16} {}", $crate::world::in_seconds($world.now), format_args!($($argument)*)));
        }
    };
}
pub(crate) use say;

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the history checker found.
    pub report: Report,
    /// What happened, and how often.
    pub counts: Counts,
    /// A hash of the history: equal for equal seeds.
    pub hash: u64,
}

/// A fleet.
#[derive(Debug)]
pub(crate) struct World {
    random: Random,
    profile: Profile,
    rules: Rules,
    trace: Option<fn(&str)>,
    /// True time; nobody sees it.
    now: Nanos,
    queue: BinaryHeap<Scheduled>,
    numbers: u64,
    /// The primary is the last.
    stores: Vec<Store>,
    down_until: Nanos,
    /// Somebody may still be led to the primary before the last.
    stale_until: Nanos,
    /// The newest entry whose commit was acknowledged to anybody.
    acknowledged: Seq,
    epochs: i64,
    /// Counts restored backups.
    timeline: u32,
    backup: Option<Store>,
    nodes: Vec<Node>,
    holders: Vec<Holding>,
    links: Vec<Link>,
    streams: Vec<Stream>,
    calls: Vec<Call>,
    deletes: Vec<Delete>,
    /// Deletes that are under way.
    under_way: Vec<usize>,
    /// Tokens whose create returned OK, and which nobody has begun to delete.
    live: Vec<TokenNumber>,
    recording: Recording,
    counts: Counts,
}

/// For the trace.
pub(crate) fn in_seconds(now: Nanos) -> String {
    format!("{}.{:09}", now / SECOND, now % SECOND)
}

impl World {
    pub(crate) fn new(seed: u64, options: &Options) -> Self {
        let mut random = Random::new(crate::random::mix(seed ^ 0x6761_7465_6b65_7900));
        let profile = Profile::draw(&mut random, options);
        let nonce = random.bits();
        let shortest = profile.shortest_lease();
        let leases = profile.leases.clone();
        let links = vec![Link::default(); leases.len() * profile.holders];
        let mut world = Self {
            rules: profile.rules(),
            random,
            trace: options.trace,
            now: 0,
            queue: BinaryHeap::new(),
            numbers: 0,
            stores: vec![Store::new(nonce)],
            down_until: 0,
            stale_until: 0,
            acknowledged: Seq::GENESIS,
            epochs: 0,
            timeline: 0,
            backup: None,
            nodes: Vec::new(),
            holders: Vec::new(),
            links,
            streams: Vec::new(),
            calls: Vec::new(),
            deletes: Vec::new(),
            under_way: Vec::new(),
            live: Vec::new(),
            recording: Recording::new(),
            counts: Counts::default(),
            profile,
        };
        for lease in leases {
            let node = world.node(lease);
            world.nodes.push(node);
        }
        for _ in 0..world.profile.holders {
            let holder = world.holder(shortest);
            world.holders.push(holder);
        }
        world.begin();
        world
    }

    fn clock(&mut self) -> Clock {
        let drift = self.profile.drift;
        let rate = match self.random.below(4) {
            0 => 1_000_000 - drift,
            1 => 1_000_000 + drift,
            _ => self.random.between(1_000_000 - drift, 1_000_000 + drift),
        };
        Clock::new(self.random.between(1000 * SECOND, 1_000_000 * SECOND), rate)
    }

    fn node(&mut self, lease: u64) -> Node {
        let process = Process::new(self.clock());
        Node {
            process,
            lease,
            id: ReplicaId(self.wide()),
            machine: None,
            cache: Cache::new(self.profile.cache),
            negatives: Negatives::new(100, std::time::Duration::from_nanos(lease)),
            link: parties::StoreLink::default(),
            pool: 0,
            pool_old: None,
            pool_closing: false,
            isolated_until: 0,
            tick_at: None,
            poll_armed: false,
            leaving: false,
        }
    }

    fn holder(&mut self, ttl: u64) -> Holding {
        let process = Process::new(self.clock());
        Holding {
            process,
            id: HolderId(self.wide()),
            machine: None,
            cache: Cache::new(self.profile.cache),
            negatives: Negatives::new(100, std::time::Duration::from_nanos(ttl)),
            lease: Moment::NEVER,
            stream: None,
            opening: false,
            unanswered: 0,
            ttl,
            flights: std::collections::BTreeMap::new(),
        }
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.random.bits()) << 64 | u128::from(self.random.bits())
    }

    /// Lets time pass up to the horizon.
    pub(crate) fn run(mut self) -> Outcome {
        while let Some(next) = self.queue.pop() {
            if next.at > self.profile.horizon {
                break;
            }
            self.now = next.at;
            self.counts.saw(Count::Event);
            match next.to {
                None => self.happen(next.event),
                Some((party, life)) => self.deliver(party, life, next.event),
            }
        }
        let primary = self.primary();
        let store = &self.stores[primary];
        let (report, hash) = self.recording.finish(|token| store.token(token));
        Outcome { report, counts: self.counts, hash }
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.numbers += 1;
        self.queue.push(Scheduled { at, number: self.numbers, to: None, event });
    }

    /// For the life that this process has now.
    fn schedule_to(&mut self, party: Party, at: Nanos, event: Event) {
        let life = self.process(party).life;
        self.schedule_to_life(party, life, at, event);
    }

    fn schedule_to_life(&mut self, party: Party, life: u32, at: Nanos, event: Event) {
        self.numbers += 1;
        self.queue.push(Scheduled { at, number: self.numbers, to: Some((party, life)), event });
    }

    fn process(&mut self, party: Party) -> &mut Process {
        match party {
            Party::Replica(replica) => &mut self.nodes[replica].process,
            Party::Holder(holder) => &mut self.holders[holder].process,
        }
    }

    fn deliver(&mut self, party: Party, life: u32, event: Event) {
        let process = self.process(party);
        if process.life != life {
            return;
        }
        if process.paused {
            process.backlog.push_back(event);
            return;
        }
        self.handle(party, event);
    }

    fn handle(&mut self, party: Party, event: Event) {
        match party {
            Party::Replica(replica) => self.replica_handles(replica, event),
            Party::Holder(holder) => self.holder_handles(holder, event),
        }
    }

    /// The process goes on, and finds all that came meanwhile.
    fn resume(&mut self, party: Party, life: u32) {
        if self.process(party).life != life {
            return;
        }
        say!(self, "{party:?} goes on");
        self.process(party).paused = false;
        while self.process(party).life == life && !self.process(party).paused {
            let Some(event) = self.process(party).backlog.pop_front() else { return };
            self.handle(party, event);
        }
    }

    /// How long something takes that goes over a network or to a disk.
    fn latency(&mut self) -> Nanos {
        if self.random.chance(self.profile.slow) {
            self.random.magnitude(2_000_000, 2 * SECOND)
        } else {
            self.random.magnitude(50_000, 2_000_000)
        }
    }

    fn soon(&mut self) -> Nanos {
        self.now + self.latency()
    }

    const fn primary(&self) -> usize {
        self.stores.len() - 1
    }
}
