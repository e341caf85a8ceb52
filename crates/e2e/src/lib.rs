//! What the black-box tests share: the real server as a process, its clients, databases and issuers.

mod binary;
mod client;
mod clock;
mod faults;
mod fleet;
mod holder;
mod issuer;
mod otlp;
mod postgres;
mod proxy;
mod raw;
mod server;

pub use binary::{gatekey, logs, root, transcribe_grpc, transcribe_http};
pub use client::{Client, reason, violations};
pub use clock::boottime;
pub use faults::{Faults, Findings};
pub use fleet::{Disturb, Everywhere, Fleet, FleetStart, Holding, Load, Record, Replica, Tally, Token};
pub use holder::{Checked, HolderProcess, HolderStart, Outcome, TestHolder};
pub use issuer::TestIssuer;
pub use otlp::{Exported, OtlpSink, hex, tree};
pub use postgres::{Cluster, Database};
pub use proxy::{FaultProxy, Flow, Link, Upstream};
pub use raw::Raw;
pub use server::{ROOMY, Server, Start, dev_token};

/// The Rust code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
