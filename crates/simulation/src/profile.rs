//! What a seed's fleet is like: its size, its leases, and which faults come how often. Some seeds have few faults
//! and many of a kind, which finds more than a little of everything does.

use gatekey_lease::{Rule, Rules};

use crate::mutant::Mutant;
use crate::random::Random;
use crate::world::{FAULTS, Fault};

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MILLISECOND;

/// What every seed of a run has in common.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How far clock rates may be off, in percent.
    pub drift: u64,
    /// The largest number of holders.
    pub holders: usize,
    /// Favours what makes a missing rule show.
    pub focus: Option<Mutant>,
    /// Leaves out the rule that is in focus.
    pub without: bool,
    /// Nothing goes wrong, and nothing takes long.
    pub quiet: bool,
    /// Lets an old primary's "unknown" count as a reject. It may be false, for up to one lease after a failover
    /// that leaves the old primary alive: a known limit.
    pub unknowns: bool,
    /// Where a readable trace goes.
    pub trace: Option<fn(&str)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            drift: 10,
            holders: 1000,
            focus: None,
            without: false,
            quiet: false,
            unknowns: false,
            trace: None,
        }
    }
}

/// One seed's fleet. Chances are in a thousand, times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) leases: Vec<u64>,
    pub(crate) holders: usize,
    pub(crate) horizon: u64,
    /// In millionths.
    pub(crate) drift: u64,
    pub(crate) tokens: u64,
    /// How many tokens of a thousand are deleted.
    pub(crate) deleted: u64,
    pub(crate) racing_checks: u64,
    /// Replicas confirm in their rows.
    pub(crate) acks: bool,
    pub(crate) replica_caches: bool,
    pub(crate) notify_lost: u64,
    /// Messages and statements that take much longer.
    pub(crate) slow: u64,
    /// Commits that take up to half a lease.
    pub(crate) slow_commits: u64,
    pub(crate) warned: u64,
    /// Streams that are stalled from their beginning.
    pub(crate) slow_streams: u64,
    /// Deletes around which something goes wrong.
    pub(crate) targeted: u64,
    /// Pools of connections that take up to a lease to be closed.
    pub(crate) slow_closing: u64,
    /// Replicas' starts at which a token is deleted.
    pub(crate) deleted_at_boot: u64,
    /// Deletes that come twice.
    pub(crate) twice: u64,
    pub(crate) remembered: usize,
    pub(crate) chunk: usize,
    pub(crate) cache: usize,
    /// How long, in leases, a replica may keep its connections to an old primary.
    pub(crate) loyalty: u64,
    /// Each with the mean time between two of it.
    pub(crate) faults: Vec<(Fault, u64)>,
    /// See [`Options::unknowns`].
    pub(crate) unknowns: bool,
    /// The rule that is left out.
    pub(crate) without: Option<Mutant>,
}

impl Profile {
    pub(crate) fn draw(random: &mut Random, options: &Options) -> Self {
        let leases = leases(random);
        let longest = leases.iter().copied().max().unwrap_or(SECOND);
        let horizon = longest * random.between(4, 8);
        let large = random.chance(5);
        let holders = if large {
            random.between(100, 1000)
        } else if random.chance(100) {
            random.between(20, 60)
        } else {
            random.between(2, 16)
        };
        let holders = usize::try_from(holders).unwrap_or(1).clamp(1, options.holders.max(1));
        let mut profile = Self {
            leases,
            holders,
            horizon,
            drift: options.drift * 10_000,
            tokens: if large { 2000 } else { random.between(15, 50) },
            deleted: if large { 50 } else { random.between(500, 900) },
            racing_checks: random.between(6, 16),
            acks: !random.chance(200),
            replica_caches: !random.chance(200),
            notify_lost: *pick(random, &[0, 100, 500, 1000]),
            slow: *pick(random, &[0, 20, 100, 300]),
            slow_commits: *pick(random, &[0, 0, 100, 300]),
            warned: *pick(random, &[0, 0, 100]),
            slow_streams: *pick(random, &[0, 50, 300]),
            targeted: *pick(random, &[0, 300, 700]),
            slow_closing: 300,
            deleted_at_boot: 300,
            twice: *pick(random, &[0, 100, 300]),
            remembered: *pick(random, &[1, 3, 20, 1000]),
            chunk: *pick(random, &[2, 4, 256]),
            cache: *pick(random, &[3, 1000, 1000]),
            loyalty: random.between(0, 3),
            faults: faults(random, horizon),
            unknowns: options.unknowns,
            without: options.focus.filter(|_| options.without),
        };
        if let Some(mutant) = options.focus {
            profile.favour(mutant);
        }
        if options.quiet {
            profile.quiet();
        }
        profile
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.without == Some(mutant)
    }

    pub(crate) fn lacks(&self, rule: Rule) -> bool {
        self.is(Mutant::Machine(rule))
    }

    pub(crate) fn rules(&self) -> Rules {
        self.without.map_or(Rules::ALL, Mutant::rules)
    }

    pub(crate) fn longest_lease(&self) -> u64 {
        self.leases.iter().copied().max().unwrap_or(SECOND)
    }

    pub(crate) fn shortest_lease(&self) -> u64 {
        self.leases.iter().copied().min().unwrap_or(SECOND)
    }

    fn quiet(&mut self) {
        (self.slow, self.slow_commits, self.slow_streams) = (0, 0, 0);
        (self.warned, self.notify_lost, self.targeted) = (0, 0, 0);
        (self.acks, self.remembered) = (true, 1000);
        self.faults.clear();
    }

    /// Has this fault come about so many times.
    fn often(&mut self, fault: Fault, times: u64) {
        self.faults.retain(|(other, _)| *other != fault);
        self.faults.push((fault, self.horizon / times));
    }

    /// Short leases and a long run, so that latencies and lost wake-ups weigh more.
    fn hasten(&mut self) {
        self.leases.fill(2 * SECOND);
        self.horizon = 60 * SECOND;
        self.tokens = 60;
        self.slow = 300;
    }

    /// Turns up what makes a missing rule show.
    fn favour(&mut self, mutant: Mutant) {
        match mutant {
            Mutant::Machine(Rule::GrantFromSending | Rule::GrantsAnswer) => {
                self.hasten();
                self.targeted = 700;
                self.often(Fault::StallDown, 80);
                self.often(Fault::Isolate, 15);
            }
            Mutant::Machine(Rule::RowBeforeHead) | Mutant::OneSnapshot => {
                self.hasten();
                (self.slow, self.slow_commits) = (0, 900);
                (self.acks, self.notify_lost) = (true, 500);
                (self.deleted_at_boot, self.deleted, self.targeted) = (1000, 0, 0);
                self.leases.truncate(2);
                self.faults.clear();
                self.remembered = 1000;
                // A crash leaves a row behind, for which everyone waits.
                self.often(Fault::Leave, 60);
                self.often(Fault::MoveHolder, 200);
                self.often(Fault::BreakConnection, 60);
            }
            Mutant::Machine(Rule::WaitFromCommit) => {
                self.hasten();
                (self.slow_commits, self.targeted) = (900, 700);
            }
            Mutant::Machine(Rule::NewerStreamReplaces | Rule::HelloEndsLease) => {
                self.hasten();
                (self.slow_streams, self.targeted) = (500, 700);
                (self.acks, self.holders) = (true, self.holders.min(4));
                self.leases.truncate(1);
                self.faults.clear();
                self.often(Fault::StallDown, 80);
                self.often(Fault::MoveHolder, 80);
            }
            Mutant::RepeatReadsOnly
            | Mutant::Machine(Rule::AckByPosition | Rule::NonceCompared | Rule::HelloByPosition) => {
                self.warned = 300;
                self.often(Fault::Fork, 10);
            }
            Mutant::Machine(Rule::AsOfByPosition | Rule::ResetEndsLease) => {
                self.hasten();
                (self.warned, self.replica_caches, self.acks) = (700, true, true);
                (self.notify_lost, self.slow) = (500, 100);
                (self.deleted, self.tokens) = (900, 120);
                (self.holders, self.cache) = (self.holders.min(5), 1000);
                self.leases.truncate(2);
                self.faults.clear();
                if mutant == Mutant::Machine(Rule::ResetEndsLease) {
                    // The log is read in small parts, so that a replica stands far back for a while.
                    (self.chunk, self.remembered) = (2, 1000);
                }
            }
            Mutant::Machine(Rule::ResetTaints) => {
                self.hasten();
                self.remembered = 1;
                self.often(Fault::MoveHolder, 200);
            }
            Mutant::Machine(Rule::FollowersLookAgain) => self.hasten(),
            Mutant::Machine(Rule::ReadContainsApplied) => {
                self.hasten();
                (self.acks, self.slow_closing, self.loyalty) = (true, 1000, 0);
                (self.deleted, self.slow, self.notify_lost) = (300, 0, 0);
                self.leases.truncate(1);
                self.faults.clear();
                self.often(Fault::Failover, 20);
            }
            Mutant::RenewalNotReplicated => {
                self.loyalty = 4;
                self.often(Fault::Failover, 5);
            }
            Mutant::WallClock => self.often(Fault::SetBack, 30),
            _ => {}
        }
    }
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.index(from.len())]
}

fn leases(random: &mut Random) -> Vec<u64> {
    let replicas = random.between(2, 5);
    let lease = |random: &mut Random| SECOND * pick(random, &[2, 2, 3, 5, 10, 10, 30, 120]);
    if random.chance(500) {
        let lease = lease(random);
        (0..replicas).map(|_| lease).collect()
    } else {
        (0..replicas).map(|_| lease(random)).collect()
    }
}

/// Each fault is left out of half of the seeds.
fn faults(random: &mut Random, horizon: u64) -> Vec<(Fault, u64)> {
    let mut faults = Vec::new();
    for fault in FAULTS.iter().copied() {
        let most = fault.most();
        if most > 0 && random.chance(500) {
            faults.push((fault, horizon / random.magnitude(1, most)));
        }
    }
    faults
}
