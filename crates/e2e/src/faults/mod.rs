//! Random faults, one after the other and over each other, while tokens are created, checked and deleted.

mod draw;
mod inject;
mod victim;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{Fleet, FleetStart, Load, ROOMY, Tally, Way};
use draw::{Choice, Fault, What};
use inject::{Store, inject};
use victim::Supply;

/// So many holders have processes of their own.
const PROCESSES: usize = 4;
/// So many workers put load on the fleet, besides the deletes that race with faults.
const WORKERS: usize = 3;
/// So many deletes race with faults at once.
const RACING: usize = 24;
/// So many long faults go on at once.
const LONG: usize = 6;
/// After so many faults the fleet gets well. In the first half of them none is long, so that the next ones
/// meet deletes that everybody confirms; in the second half they go on over each other.
const ROUND: u64 = 50;
/// A line of progress comes after so many faults.
const PROGRESS: u64 = 100;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// How many faults.
    pub count: u64,
    /// What draws them.
    pub seed: u64,
    /// How many holders.
    pub holders: usize,
    /// L, in seconds.
    pub lease: u32,
    /// No fault begins later.
    pub limit: Duration,
    /// How the replicas reach their store.
    pub way: Way,
}

/// What came of it.
#[derive(Debug)]
pub struct Findings {
    /// How many faults there were, by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How much happened.
    pub tally: Tally,
    /// How much of it was shown on purpose, before the first fault.
    pub shown: Tally,
    /// How many deletes were answered with what else than OK.
    pub failures: BTreeMap<String, u64>,
    /// What the checker saw, in its own words.
    pub seen: String,
    /// What must not have happened, each after the number of the fault that was the latest then.
    pub violations: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Faults {
    /// Does it. Ends early when something was found, or the time is over.
    ///
    /// # Panics
    /// If the fleet does not start, does not delete in both ways at first, or does not get well in the end.
    pub async fn run(self) -> Findings {
        let begun = Instant::now();
        let start = FleetStart {
            holders: self.holders.saturating_sub(PROCESSES),
            processes: PROCESSES,
            lease: self.lease,
            log: Some("warn".to_owned()),
            own_cluster: true,
            way: self.way,
            ..FleetStart::default()
        };
        let fleet = start.start().await;
        shows_both_ways(&fleet).await;
        let shown = fleet.record.tally();
        let mut random = Rng::with_seed(self.seed);
        let load = Load::start(&fleet, WORKERS, random.u64(..));
        let mut run = Run::new(&fleet);
        for number in 1..=self.count {
            if begun.elapsed() > self.limit || !fleet.record.violations().is_empty() {
                break;
            }
            fleet.record.begin_chapter(number);
            run.next(&mut random, number % ROUND < ROUND / 2).await;
            if number.is_multiple_of(ROUND) {
                run.gets_well().await;
            }
            if number.is_multiple_of(PROGRESS) {
                println!("{number} faults in {} s: {}", begun.elapsed().as_secs(), fleet.record.tally());
            }
        }
        // Before the fleet has to get well, which may be too much to ask then.
        for violation in fleet.record.violations() {
            println!("seed {}, after fault {violation}", self.seed);
        }
        load.stop().await;
        run.gets_well().await;
        let kinds = run.kinds;
        let seen = format!("{:?}", fleet.finish().await);
        Findings {
            kinds,
            tally: fleet.record.tally(),
            shown,
            failures: fleet.record.failures(),
            seen,
            violations: fleet.record.violations(),
            took: begun.elapsed(),
        }
    }
}

/// Deletes by everybody's confirmation, and by waiting a lease out. What faults at random come to is a matter of luck.
async fn shows_both_ways(fleet: &Arc<Fleet>) {
    let begun = Instant::now();
    fleet.recovers().await;
    loop {
        let token = fleet.warm_token().await;
        let stopped = &fleet.holders[0];
        stopped.signal("STOP");
        let receipt = fleet.delete(0, &token, ROOMY).await;
        stopped.signal("CONT");
        fleet.check_everywhere(&token, fleet.lease).await;
        // On a busy machine its lease may have been over just then.
        if receipt.is_ok_and(|receipt| receipt.leases_waited_out > 0) {
            return;
        }
        assert!(begun.elapsed() < 2 * ROOMY, "nobody waits for who is stopped");
    }
}

impl Findings {
    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.kinds.values().sum()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.kinds {
            writeln!(f, "{count:6} {kind}")?;
        }
        writeln!(f, "{:6} faults in {} s: {}", self.faults(), self.took.as_secs(), self.tally)?;
        for (answer, count) in &self.failures {
            writeln!(f, "{count:6} deletes: {answer}")?;
        }
        writeln!(f, "{}", self.seen)?;
        for violation in &self.violations {
            writeln!(f, "after fault {violation}")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}

/// A run that is going on.
struct Run {
    fleet: Arc<Fleet>,
    store: Arc<Store>,
    choice: Choice,
    supply: Supply,
    tasks: JoinSet<()>,
    racing: Arc<Semaphore>,
    long: Arc<Semaphore>,
    kinds: BTreeMap<&'static str, u64>,
}

impl Run {
    fn new(fleet: &Arc<Fleet>) -> Self {
        let (replicas, holders) = (fleet.replicas.len(), fleet.holders.len());
        let choice = Choice { replicas, holders, processes: PROCESSES, lease: fleet.lease };
        Self {
            fleet: Arc::clone(fleet),
            store: Arc::default(),
            choice,
            supply: Supply::of(fleet),
            tasks: JoinSet::new(),
            racing: Arc::new(Semaphore::new(RACING)),
            long: Arc::new(Semaphore::new(LONG)),
            kinds: BTreeMap::new(),
        }
    }

    /// The next fault, and a delete that races with it.
    async fn next(&mut self, random: &mut Rng, calm: bool) {
        let drawn = Fault::draw(random, &self.choice);
        let fault = if calm { drawn.shortened() } else { drawn };
        let replica = random.usize(..self.choice.replicas);
        let after = Duration::from_millis(random.u64(..80));
        *self.kinds.entry(fault.what.kind()).or_default() += 1;
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("nobody panics");
        }

        let racing = Arc::clone(&self.racing).acquire_owned().await.expect("never closed");
        if let Some(token) = self.supply.next().await {
            let fleet = Arc::clone(&self.fleet);
            self.tasks.spawn(async move {
                victim::delete(&fleet, &token, replica, after).await;
                drop(racing);
            });
        }
        let own = if let What::CallerGone(_) = fault.what { self.supply.next().await } else { None };
        if fault.is_long() {
            let long = Arc::clone(&self.long).acquire_owned().await.expect("never closed");
            let (fleet, store) = (Arc::clone(&self.fleet), Arc::clone(&self.store));
            self.tasks.spawn(async move {
                inject(&fleet, &store, fault, own.as_ref()).await;
                drop(long);
            });
        } else {
            inject(&self.fleet, &self.store, fault, own.as_ref()).await;
        }
    }

    /// Waits for all that is under way, and until the fleet is well.
    async fn gets_well(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("nobody panics");
        }
        self.fleet.heal();
        self.fleet.recovers().await;
    }
}
