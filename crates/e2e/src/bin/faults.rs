//! Breaks a fleet of real processes at random for as long as it is told to, and says whether revocation stayed
//! strict: `faults --count N --seed S`. Ends with 1 if it did not, and with 2 if the time was over before.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gatekey_e2e::{Faults, Way};

/// Breaks a fleet at random: replicas, holders, links and the store.
#[derive(Parser)]
struct Arguments {
    /// How many faults.
    #[arg(long, value_name = "N", default_value_t = 200)]
    count: u64,
    /// What draws them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many holders; four of them have processes of their own.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(8..))]
    holders: u64,
    /// The lease, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    lease: u32,
    /// No fault begins after so many minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    limit: u64,
    /// How the replicas reach their store.
    #[arg(long, value_enum, default_value_t)]
    way: Way,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { count, seed, holders, lease, limit, way } = Arguments::parse();
    let holders = usize::try_from(holders).expect("it has been parsed on a machine that can hold them");
    let findings = Faults { count, seed, holders, lease, limit: Duration::from_mins(limit), way }.run().await;
    println!("seed {seed}\n{findings}");
    if !findings.violations.is_empty() {
        return ExitCode::FAILURE;
    }
    if findings.faults() < count {
        println!("the time was over before {count} faults");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
