//! Explores a large model of strict revocation, or says which there are:
//! `cargo run --release -p gatekey-lease --example model -- two-replicas`.

#[path = "../tests/model/world/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod world;

use std::process::ExitCode;

use world::{Config, explore};

const ONE: Config = Config::ONE;

/// Two replicas, with budgets that make each exhaustible.
const TWO: Config = Config { replicas: 2, targets: 2, renewals: [1; 2], grants: 1, ..ONE };

/// The models by name.
const MODELS: [(&str, Config); 12] = [
    ("one-replica", Config { verifications: 2, streams: 1, slow_renewals: true, breaks: true, ..ONE }),
    (
        "one-replica-crash-removal",
        Config { crashes: 1, removal: true, streams: 1, verifications: 1, horizon: 6, ..ONE },
    ),
    ("two-replicas", Config { replica_caches: true, verifications: 1, streams: 1, horizon: 4, ..TWO }),
    ("two-replicas-two-reads", Config { replica_caches: true, verifications: 2, horizon: 4, ..TWO }),
    ("two-replicas-crash", Config { crashes: 1, streams: 1, horizon: 5, ..TWO }),
    (
        "two-replicas-large",
        Config {
            replica_caches: true,
            verifications: 1,
            streams: 1,
            renewals: [2; 2],
            grants: 2,
            horizon: 4,
            ..TWO
        },
    ),
    (
        "two-replicas-crash-caches",
        Config { replica_caches: true, verifications: 1, crashes: 1, streams: 1, horizon: 4, ..TWO },
    ),
    ("two-replicas-cold", Config { cold: true, slow_renewals: true, streams: 2, horizon: 7, ..TWO }),
    ("two-replicas-removal", Config { removal: true, streams: 1, ..TWO }),
    (
        "failover",
        Config { failover: true, verifications: 1, streams: 1, slow_reads: true, horizon: 4, ..ONE },
    ),
    (
        "fork",
        Config {
            forks: 1,
            others: 1,
            deletes: 2,
            slow_commits: true,
            streams: 1,
            renewals: [1; 2],
            grants: 1,
            horizon: 4,
            ..ONE
        },
    ),
    ("drift", Config { rates: [11, 9, 9, 9], verifications: 1, streams: 1, repeats: 1, ..ONE }),
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let Some((_, config)) = MODELS.into_iter().find(|(known, _)| *known == name) else {
        eprintln!("which of them? {}", MODELS.map(|(name, _)| name).join(" "));
        return ExitCode::FAILURE;
    };
    let report = explore(config, threads);
    for (event, count) in &report.events {
        println!("{event:?}: {count}");
    }
    println!("{name}: {} states in {:.1?} on {threads} threads", report.states, report.took);
    match report.stale {
        None => ExitCode::SUCCESS,
        Some(way) => {
            println!("a stale accept: {way:#?}");
            ExitCode::FAILURE
        }
    }
}
