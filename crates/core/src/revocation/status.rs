//! How a replica stands, for metrics and for whoever looks: counted here, shown elsewhere.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use gatekey_lease::{Position, Receipt};

use super::shared::Shared;

/// How a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether its lease lives.
    pub leased: bool,
    /// How much of its lease is left.
    pub lease_left: Duration,
    /// Where it stands in the log.
    pub applied: Option<Position>,
    /// How many entries the head of the log was ahead when it was read last.
    pub behind: u64,
    /// How many sessions of holders it waits for, those of broken streams included.
    pub sessions: usize,
    /// How many deletes wait to be in force.
    pub deletes_waiting: usize,
    /// How many deletes came into force because everyone confirmed.
    pub deletes_by_acks: u64,
    /// How many came into force because at least one lease was waited out.
    pub deletes_by_time: u64,
    /// How many were answered before they were in force everywhere.
    pub deletes_pending: u64,
    /// How many verifications were answered from memory.
    pub hits: u64,
    /// How many verifications had to ask the store.
    pub misses: u64,
}

/// What is counted as it happens.
#[derive(Default)]
pub(super) struct Counts {
    head: AtomicI64,
    by_acks: AtomicU64,
    by_time: AtomicU64,
    late: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Counts {
    pub(super) fn head(&self, head: Position) {
        self.head.store(head.seq.get(), Ordering::Relaxed);
    }

    pub(super) fn deleted(&self, receipt: &Receipt) {
        let counter = if receipt.leases_waited_out == 0 { &self.by_acks } else { &self.by_time };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }
}

impl Status {
    pub(super) fn of(shared: &Shared) -> Self {
        let (now, until, applied, sessions) = shared.with(|state, now| {
            (now, state.machine.lease_until(), state.machine.position(), state.machine.sessions())
        });
        let counts = &shared.counts;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let head = counts.head.load(Ordering::Relaxed);
        let behind = applied.map_or(head, |applied| head.saturating_sub(applied.seq.get()));
        Self {
            leased: now < until,
            lease_left: until.since(now),
            applied,
            behind: u64::try_from(behind).unwrap_or(0),
            sessions,
            deletes_waiting: shared.waits.len(),
            deletes_by_acks: load(&counts.by_acks),
            deletes_by_time: load(&counts.by_time),
            deletes_pending: load(&counts.late),
            hits: load(&counts.hits),
            misses: load(&counts.misses),
        }
    }
}
