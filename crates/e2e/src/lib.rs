//! What the black-box tests share: the real server as a process, its clients, databases and issuers.

mod authority;
mod begun;
mod binary;
mod client;
mod clock;
mod command;
mod dev_token;
mod faults;
mod fleet;
mod holder;
mod issuer;
mod otlp;
mod pooler;
mod postgres;
mod proxy;
mod raw;
mod server;

pub use authority::{Leaf, TestAuthority};
pub use begun::Begun;
pub use binary::{gatekey, logs, root, transcribe_grpc, transcribe_http};
pub use client::{Client, reason, sent, violations};
pub use clock::boottime;
pub use command::{Running, Said, command};
pub use dev_token::dev_token;
pub use faults::{Faults, Findings};
pub use fleet::{
    Disturb, Everywhere, Fleet, FleetStart, Holding, Load, Record, Replica, Replicated, Served, StoreLink,
    Streams, Tally, Token, Traffic,
};
pub use holder::{Checked, HolderProcess, HolderStart, OpenStream, Outcome, TestHolder};
pub use issuer::TestIssuer;
pub use otlp::{Exported, OtlpSink, hex, tree};
pub use pooler::{PgBouncer, Way};
pub use postgres::{Cluster, Database};
pub use proxy::{FaultProxy, Flow, Link, Upstream};
pub use raw::Raw;
pub use server::{ROOMY, Server, Start};

/// The Rust code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
