//! What the black-box tests share: the real server as a process, its clients, databases and issuers.

mod binary;
mod client;
mod issuer;
mod postgres;
mod raw;
mod server;

pub use binary::{gatekey, logs, root};
pub use client::{Client, reason, violations};
pub use issuer::TestIssuer;
pub use postgres::{Cluster, Database};
pub use raw::Raw;
pub use server::{ROOMY, Server, Start};

/// The Rust code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
