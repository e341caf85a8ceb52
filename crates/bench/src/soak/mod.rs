//! An hour at half load, or minutes in CI: a real server, and services in processes of their own that it protects, looked at every few
//! seconds. What was seen is left as a CSV and as a picture; `verdict.rs` says whether something grew.

mod fit;
mod picture;
mod sample;
mod traffic;
mod verdict;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use gatekey_e2e::{Database, Server, Start, dev_token};
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::echo::PeerProcess;
use sample::{Looking, Sample};
use traffic::{Pace, Running, World};

/// Processes with an interceptor.
const SERVICES: usize = 2;
/// Full speed goes on for so long at least, and until a replica remembers as many revocations as it ever does (16,384): what fills up by
/// design is full then.
const FULL_SPEED: Duration = Duration::from_secs(10);
const REMEMBERED: u64 = 17_000;
/// But no longer than this.
const FULL_SPEED_LAST: Duration = Duration::from_mins(2);
/// After the last call, before it is looked at at rest: two renewals of the lease, after each of which the server knows the log's head.
const REST: Duration = Duration::from_secs(5);
const PROGRESS: Duration = Duration::from_secs(30);
/// The first part of the run counts as warm-up: a third of it, or this.
const WARM_UP: Duration = Duration::from_mins(10);

/// How to soak.
#[derive(Args)]
pub(crate) struct Settings {
    /// How long at half load, in minutes.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Where tokens are kept.
    #[arg(long, value_enum, default_value_t = Store::Postgres)]
    store: Store,
    /// Where soak.csv and soak.svg are left.
    #[arg(long, value_name = "DIR", default_value = "target/soak")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Store {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the server of scripts/postgres.
    Postgres,
}

/// All that was seen.
struct Seen {
    /// As in "30 minutes on SQLite".
    what: String,
    minutes: u32,
    pace: Pace,
    /// Before the first call.
    idle: Sample,
    /// After full speed, with no call under way.
    before: Sample,
    /// At half load.
    samples: Vec<Sample>,
    /// Since when samples count, in seconds.
    warm: f64,
    /// After half load, with no call under way.
    after: Sample,
    /// What went wrong.
    trouble: Vec<String>,
}

/// Whether nothing grew, failed, or was accepted that must not be.
pub(crate) async fn run(settings: Settings) -> ExitCode {
    let Settings { minutes, store, out } = settings;
    let folder = TempDir::new().expect("a folder");
    let (server, on) = server(store, &folder).await;
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    let services: Vec<PeerProcess> =
        (0..SERVICES).map(|_| PeerProcess::protected(server.grpc, &jwt)).collect();
    let mut processes = vec![server.pid()];
    processes.extend(services.iter().map(PeerProcess::pid));
    let looking = Looking::at(server.metrics.expect("it was told to"), processes);
    let idle = looking.look(0.0, &World::default()).await;
    let world = World::new(client, &services.iter().map(|service| service.address).collect::<Vec<_>>()).await;
    let pace = full_speed(&world, &looking).await;
    sleep(REST).await;
    let before = looking.look(0.0, &world).await;

    std::fs::create_dir_all(&out).expect("the folder can be made");
    let csv = std::fs::File::create(out.join("soak.csv")).expect("a file");
    let samples = half_load(&world, &looking, &pace, minutes, csv).await;
    sleep(REST).await;
    let after = looking.look(0.0, &world).await;
    let length = Duration::from_mins(minutes.into());
    let seen = Seen {
        what: format!("{minutes} minutes on {on}"),
        minutes,
        pace,
        idle,
        before,
        samples,
        warm: (length / 3).min(WARM_UP).as_secs_f64(),
        after,
        trouble: world.trouble(),
    };
    std::fs::write(out.join("soak.svg"), picture::draw(&seen)).expect("a file");
    eprintln!("soak.csv and soak.svg are in {}", out.display());
    if verdict::print(&seen) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn server(store: Store, folder: &TempDir) -> (Server, &'static str) {
    let start = Start::in_folder(folder.path()).args(["--log", "warn", "--metrics-addr", "127.0.0.1:0"]);
    match store {
        Store::Sqlite => (start.start(), "SQLite"),
        Store::Postgres => {
            let database = Database::new().await;
            database.migrate();
            (start.args(["--dev", "--database-url", &database.url]).start(), "Postgres")
        }
    }
}

/// Calls as fast as they are answered; half of that.
async fn full_speed(world: &Arc<World>, looking: &Looking) -> Pace {
    eprintln!("full speed, to fill what fills up and to find out what half load is");
    let begun = Instant::now();
    let before = looking.look(0.0, world).await;
    let running = Running::start(world, None);
    loop {
        sleep(FULL_SPEED / 10).await;
        let took = begun.elapsed();
        if took >= FULL_SPEED_LAST || (took >= FULL_SPEED && world.writes() >= REMEMBERED) {
            break;
        }
    }
    let now = looking.look(begun.elapsed().as_secs_f64(), world).await;
    running.stop().await;
    let half = |count: u64| wide(count) / now.seconds / 2.0;
    let pace = Pace { checks: half(now.checks - before.checks), writes: half(now.writes - before.writes) };
    eprintln!("half of it: {pace}");
    pace
}

/// The samples. Each goes to the CSV at once, so that a run that is broken off has left its own.
async fn half_load(
    world: &Arc<World>,
    looking: &Looking,
    pace: &Pace,
    minutes: u32,
    mut csv: std::fs::File,
) -> Vec<Sample> {
    let length = Duration::from_mins(minutes.into());
    // Some 90 samples of three minutes, and 360 of an hour.
    let mut ticks = interval(Duration::from_secs(if minutes < 20 { 2 } else { 10 }));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples: Vec<Sample> = Vec::new();
    writeln!(csv, "{}", Sample::columns(SERVICES)).expect("the file can be written");
    let (begun, mut told) = (Instant::now(), Instant::now());
    let running = Running::start(world, Some(*pace));
    while begun.elapsed() < length {
        ticks.tick().await;
        let sample = looking.look(begun.elapsed().as_secs_f64(), world).await;
        writeln!(csv, "{sample}").expect("the file can be written");
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!("{:.1} of {minutes} minutes: {}", sample.seconds / 60.0, sample.told());
        }
        samples.push(sample);
    }
    running.stop().await;
    samples
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
const fn wide(count: u64) -> f64 {
    count as f64
}
