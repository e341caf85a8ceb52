//! Gatekey's benchmarks. Each prints one table: what, figure, the peer beside it, the ratio, the goal.
//!
//! `scripts/bench` builds the server, starts a throw-away Postgres and runs these.

mod delete;
mod echo;
mod load;
mod sessions;
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
        /// How many pairs of runs for each line.
        #[arg(long, default_value_t = 5)]
        pairs: usize,
    },
    /// DeleteToken with three replicas and 1, 10 and 100 holders, beside a bare commit.
    Delete {
        /// How many deletes for each line.
        #[arg(long, default_value_t = 300)]
        count: usize,
    },
    /// Many watching sessions on one replica: memory of each, and how long a delete waits for all.
    Sessions {
        /// How many connections.
        #[arg(long, default_value_t = 100)]
        connections: usize,
        /// How many sessions on each.
        #[arg(long, default_value_t = 100)]
        each: usize,
    },
    /// The bare echo server that `verify` compares with; it is started by it.
    #[command(hide = true)]
    Echo,
}

#[tokio::main]
async fn main() {
    match Cli::parse().bench {
        Bench::Start => start::run().await,
        Bench::Verify { rows, pairs } => verify::run(rows, pairs).await,
        Bench::Delete { count } => delete::run(count).await,
        Bench::Sessions { connections, each } => sessions::run(connections, each).await,
        Bench::Echo => echo::serve().await,
    }
}
