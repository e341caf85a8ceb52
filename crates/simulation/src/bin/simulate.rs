//! Runs seeds of the simulation, and says what happened; or one seed, with a readable trace.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use gatekey_simulation::history::Totals;
use gatekey_simulation::{Count, Counts, Mutant, Options, simulate};

/// Simulates fleets under faults, and checks that no token is accepted after its deletion returned OK.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this one.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Prints all that happens, with the time in seconds. For one seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// How far clock rates may be off, in percent.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..90))]
    drift: u64,
    /// The largest number of holders.
    #[arg(long, default_value_t = 1000)]
    holders: usize,
    /// Favours the faults that make this rule necessary.
    #[arg(long, value_name = "RULE", conflicts_with = "without")]
    focus: Option<Mutant>,
    /// Leaves this rule out, and favours the faults that make it necessary.
    #[arg(long, value_name = "RULE")]
    without: Option<Mutant>,
    /// Nothing goes wrong, and nothing takes long.
    #[arg(long)]
    quiet: bool,
    /// Counts an old primary's "unknown" as a reject, which is a known limit.
    #[arg(long)]
    unknowns: bool,
    /// How many threads.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, NonZero::get))]
    threads: usize,
}

impl Arguments {
    fn options(&self) -> Options {
        Options {
            drift: self.drift,
            holders: self.holders,
            focus: self.without.or(self.focus),
            without: self.without.is_some(),
            quiet: self.quiet,
            unknowns: self.unknowns,
            trace: self.trace.then_some(|line| println!("{line}")),
        }
    }

    /// What replays one seed.
    fn replay(&self, seed: u64) -> String {
        let mut words = vec![format!("cargo run --release -p gatekey-simulation -- --seed {seed} --trace")];
        let defaults = Options::default();
        words.extend((self.drift != defaults.drift).then(|| format!("--drift {}", self.drift)));
        words.extend((self.holders != defaults.holders).then(|| format!("--holders {}", self.holders)));
        words.extend(self.quiet.then(|| "--quiet".to_owned()));
        words.extend(self.unknowns.then(|| "--unknowns".to_owned()));
        words.extend(self.focus.map(|rule| format!("--focus {}", rule.name())));
        words.extend(self.without.map(|rule| format!("--without {}", rule.name())));
        words.join(" ")
    }
}

/// What all seeds came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    totals: Totals,
    counts: Counts,
    violations: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (first, seeds) = arguments.seed.map_or((arguments.first, arguments.seeds), |seed| (seed, 1));
    let started = Instant::now();
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(seeds) {
                        return;
                    }
                    run(&arguments, seed, &sum, started);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell(&sum, started);
    if sum.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(arguments: &Arguments, seed: u64, sum: &Mutex<Sum>, started: Instant) {
    let outcome = simulate(seed, &arguments.options());
    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    sum.seeds += 1;
    sum.totals.add(&outcome.report.totals);
    sum.counts.add(&outcome.counts);
    for violation in &outcome.report.violations {
        sum.violations += 1;
        println!("seed {seed}: {violation}\n  replay it: {}", arguments.replay(seed));
    }
    if sum.seeds.is_multiple_of(1000) {
        let seconds = started.elapsed().as_secs_f32();
        println!("… {} seeds, {} races, in {seconds:.1} s", sum.seeds, sum.totals.races);
    }
}

fn tell(sum: &Sum, started: Instant) {
    let Totals { creates, deletes, deleted, accepted, rejected, cannot_tell, races, accepted_races, probes } =
        sum.totals;
    print!("{}", sum.counts);
    println!("{creates:>14}  tokens created");
    println!("{deletes:>14}  deletes called, {deleted} of them returned OK");
    println!("{accepted:>14}  accepts, {rejected} rejects, {cannot_tell} could not tell");
    println!("{races:>14}  races: checks invoked while a delete of the token was under way");
    println!("{accepted_races:>14}  of them accepted");
    println!("{probes:>14}  probes: checks invoked within a second after the delete's OK");
    let seconds = started.elapsed().as_secs_f32();
    println!(
        "{} seeds, {} events, {seconds:.1} s: {} violations",
        sum.seeds,
        sum.counts.of(Count::Event),
        sum.violations
    );
}
