//! A holder of leases in a process of its own, for the tests: `holder --endpoints ADDRESS,...`.

use std::net::SocketAddr;

use clap::Parser;
use gatekey_e2e::HolderStart;

/// Holds leases, and answers checks: a line of JSON each, as `holder/line.rs` has them.
#[derive(Parser)]
struct Arguments {
    /// The replicas.
    #[arg(long, value_name = "ADDRESS,...", value_delimiter = ',', required = true)]
    endpoints: Vec<SocketAddr>,
    /// Which of them gets the first stream.
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: usize,
    /// A verifier's JWT.
    #[arg(long, value_name = "JWT", env = "GATEKEY_JWT", hide_env_values = true)]
    jwt: String,
}

fn main() {
    let Arguments { endpoints, first, jwt } = Arguments::parse();
    gatekey_e2e::serve_holder(HolderStart { endpoints, first, jwt });
}
