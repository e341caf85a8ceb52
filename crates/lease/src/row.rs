//! A replica's row in the store: what everyone who deletes knows of a replica.

use std::time::Duration;

use crate::{Position, ReplicaId};

/// A replica's row, as somebody read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whose it is.
    pub id: ReplicaId,
    /// The replica's count of its renewals.
    pub n: u64,
    /// Its lease: no shorter than any that it holds or grants.
    pub lease: Duration,
    /// What it has confirmed, if anything.
    pub ack: Option<RowAck>,
}

/// What a row confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowAck {
    /// Cumulative.
    pub position: Position,
    /// Whether the log that was read in the same statement contains that very entry.
    pub in_log: bool,
    /// How many holders confirmed what this covers and the one before did not.
    pub confirmed: u32,
    /// How many holders' leases were waited out for that.
    pub waited_out: u32,
}
