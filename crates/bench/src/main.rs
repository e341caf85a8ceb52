//! Gatekey's benchmarks. Each prints one table: what, figure, the peer beside it, the ratio, the goal.
//!
//! `scripts/bench` builds the server, starts a throw-away Postgres and runs these.

mod echo;
mod load;
mod start;
mod table;
mod verify;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Gatekey's benchmarks")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Start to SERVING, and resident memory of an idle server.
    Start,
    /// VerifyToken over Postgres beside a bare tonic echo of the same messages.
    Verify {
        /// How many tokens are in the store for the comparison of sizes.
        #[arg(long, default_value_t = 1_000_000)]
        rows: i64,
    },
    /// The bare echo server that `verify` compares with; it is started by it.
    #[command(hide = true)]
    Echo,
}

#[tokio::main]
async fn main() {
    match Cli::parse().bench {
        Bench::Start => start::run().await,
        Bench::Verify { rows } => verify::run(rows).await,
        Bench::Echo => echo::serve().await,
    }
}
