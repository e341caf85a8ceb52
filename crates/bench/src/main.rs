//! Gatekey's benchmarks. Each prints one table: what, figure, the peer beside it, the ratio, the goal.
//!
//! `scripts/bench` builds the server, starts a throw-away Postgres and runs these.

mod costs;
mod delete;
mod echo;
mod flood;
mod gateways;
mod layer;
mod leave;
mod load;
mod rest;
mod scene;
mod sessions;
mod soak;
mod start;
mod streams;
mod table;
mod verify;

use std::process::ExitCode;

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
    /// Many interceptors that leave at once: how long deletes wait for them.
    Leave {
        /// How many.
        #[arg(long, default_value_t = 1_000)]
        count: usize,
    },
    /// What traces and a pooler before Postgres cost VerifyToken.
    Costs {
        /// How many pairs of runs for each line.
        #[arg(long, default_value_t = 5)]
        pairs: usize,
    },
    /// A tonic echo with the interceptor's layer in front, beside the same echo without it.
    Layer {
        /// How many pairs of runs for each line, eight times.
        #[arg(long, default_value_t = 15)]
        pairs: usize,
    },
    /// A flood of unknown, well-formed tokens at a protected service: what it does to good checks, and to its memory.
    Flood {
        /// How long, in seconds.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// Open realtime streams at a protected service: how soon they end after a delete, and after expiry.
    Streams {
        /// How many of them.
        #[arg(long, default_value_t = 200)]
        count: usize,
    },
    /// Create, list and delete over REST beside the same over gRPC.
    Rest {
        /// How many calls of each kind in a run.
        #[arg(long, default_value_t = 1_000)]
        count: usize,
        /// How many pairs of runs.
        #[arg(long, default_value_t = 5)]
        pairs: usize,
    },
    /// Envoy that asks Gatekey about every request, beside Envoy with its own API keys and JWTs.
    Gateways {
        /// How long each run takes, in seconds.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
        /// How many rounds of runs.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Half load for an hour: whether memory, descriptors or the way to the log's head grow. Ends with 1 if something does.
    Soak(soak::Settings),
    /// The echo server that others compare with; it is started by them.
    #[command(hide = true)]
    Echo {
        /// The server whose tokens it asks for, with `GATEKEY_JWT` for itself; it asks for none without.
        #[arg(long)]
        gatekey: Option<String>,
    },
    /// The collector of traces; it is started by `costs`.
    #[command(hide = true)]
    Collector,
    /// The one who floods; it is started by `flood`.
    #[command(hide = true)]
    Flooding {
        /// The service.
        #[arg(long)]
        address: std::net::SocketAddr,
        /// How many tokens a second; as many as it can, if 0.
        #[arg(long)]
        rate: u64,
        /// How long, in seconds.
        #[arg(long)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().bench {
        Bench::Start => start::run().await,
        Bench::Verify { rows, pairs } => verify::run(rows, pairs).await,
        Bench::Delete { count } => delete::run(count).await,
        Bench::Sessions { connections, each } => sessions::run(connections, each).await,
        Bench::Leave { count } => leave::run(count).await,
        Bench::Costs { pairs } => costs::run(pairs).await,
        Bench::Layer { pairs } => layer::run(pairs).await,
        Bench::Flood { seconds } => flood::run(seconds).await,
        Bench::Streams { count } => streams::run(count).await,
        Bench::Rest { count, pairs } => rest::run(count, pairs).await,
        Bench::Gateways { seconds, rounds } => gateways::run(seconds, rounds).await,
        Bench::Soak(settings) => return soak::run(settings).await,
        Bench::Echo { gatekey } => echo::serve(gatekey).await,
        Bench::Collector => echo::collect().await,
        Bench::Flooding { address, rate, seconds } => flood::flood(address, rate, seconds).await,
    }
    ExitCode::SUCCESS
}
