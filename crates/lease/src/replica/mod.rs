//! A replica: holds a lease of its own and grants leases to the holders on its streams.
//!
//! This file has its state and what it asks to be done; beside it are the renewal, the sessions, its own
//! verifications, and the removal of dead replicas' rows. The store and the streams are left to others.

mod leave;
mod renewal;
mod rows;
mod session;
mod sessions;
mod verify;

use std::sync::Arc;
use std::time::Duration;

pub use verify::{FromCache, Read, ReadAnswer, Refused};

use crate::log::Tail;
use crate::{Digest, Down, Epoch, Flights, Moment, Position, ReplicaId, Rules, Seq, StreamId};
use renewal::Renewal;
use rows::Others;
use sessions::Sessions;

/// What a replica is given at its start.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaConfig {
    /// Its process; never used before.
    pub id: ReplicaId,
    /// L.
    pub lease: Duration,
    /// How many of the newest entries of the log it remembers, for holders that come back.
    pub remembered: usize,
    /// [`Rules::ALL`].
    pub rules: Rules,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    id: ReplicaId,
    lease: Duration,
    rules: Rules,
    tail: Tail,
    epoch: Option<Epoch>,
    lease_until: Moment,
    /// How many renewals it has begun: `n` of its row.
    n: u64,
    renewal: Renewal,
    pool: Pool,
    sessions: Sessions,
    flights: Flights,
    /// What its row confirms.
    acked: Option<Position>,
    others: Others,
    leaving: bool,
}

/// The connections through which tokens are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Pool {
    generation: u32,
    /// The renewal connection was remade, and the old connections are still open.
    stale: bool,
}

/// What a replica wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Commit its row, inserting it if it is missing: `n`, the lease, and `head.max_lease_ms` raised to the
    /// lease in the same transaction. Then tell [`Replica::row_committed`].
    CommitRow {
        /// Counted by the replica and not by the store, so that a row that was removed and inserted anew
        /// never stands still by chance.
        n: u64,
        /// What the row says.
        lease: Duration,
    },
    /// Read the head, in a statement of its own. Then tell [`Replica::head_read`].
    ReadHead,
    /// Read the log from this number on, itself included. Then tell [`Replica::log_read`].
    ReadLog {
        /// The first number.
        from: Seq,
    },
    /// Close the connections through which tokens are read. Then tell [`Replica::pool_closed`].
    ClosePool,
    /// Drop these from its own cache.
    Drop(Arc<[Digest]>),
    /// Empty its own caches.
    Clear,
    /// Say this on a stream, after all that was said on it before.
    Send {
        /// The stream.
        stream: StreamId,
        /// The message.
        message: Down,
    },
    /// End a stream.
    Close {
        /// The stream.
        stream: StreamId,
    },
    /// Confirm this position in its own row, if the log holds that very entry; wake the deleters.
    Confirm {
        /// Up to where.
        position: Position,
        /// How many holders confirmed what is new in this.
        confirmed: u32,
        /// How many holders' leases were waited out for it.
        waited_out: u32,
    },
    /// Remove a replica's row, if it still has this `n`.
    RemoveRow {
        /// Whose.
        id: ReplicaId,
        /// As it was seen.
        n: u64,
    },
}

impl Replica {
    /// A replica that stands nowhere, without a lease. Begin with [`Replica::renew`].
    #[must_use]
    pub fn new(config: ReplicaConfig) -> Self {
        let ReplicaConfig { id, lease, remembered, rules } = config;
        Self {
            id,
            lease,
            rules,
            tail: Tail::new(remembered),
            epoch: None,
            lease_until: Moment::NEVER,
            n: 0,
            renewal: Renewal::Idle,
            pool: Pool::default(),
            sessions: Sessions::new(rules),
            flights: Flights::new(rules),
            acked: None,
            others: Others::new(rules),
            leaving: false,
        }
    }

    /// Its process.
    #[must_use]
    pub const fn id(&self) -> ReplicaId {
        self.id
    }

    /// Where it stands: `applied`.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.tail.newest()
    }

    /// The epoch in which it stands; none before it has read a head, and while history forks.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Until when its lease lives.
    #[must_use]
    pub const fn lease_until(&self) -> Moment {
        self.lease_until
    }

    /// How many sessions it has, those of broken streams included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether its lease lives.
    fn leased(&self, now: Moment) -> bool {
        now < self.lease_until
    }

    /// Time has passed, or something happened: sessions whose grants are over end, and what all have
    /// confirmed is confirmed.
    ///
    /// Invariant (3), *a replica's ack of `s` means that no session can use a grant older than `s` without
    /// having removed its token*, is kept here and in `session.rs`.
    pub fn tick(&mut self, now: Moment) -> Vec<Effect> {
        self.sessions.tick(now);
        let mut effects: Vec<Effect> = self.confirm().into_iter().collect();
        effects.extend(self.left(now));
        effects
    }

    /// When [`Self::tick`] has something to do, if nothing else happens before.
    #[must_use]
    pub fn next_tick(&self) -> Option<Moment> {
        self.sessions.next_tick()
    }

    /// Confirms up to where every session did. Only an entry that it holds: by position, not by number.
    pub(super) fn confirm(&mut self) -> Option<Effect> {
        let applied = self.tail.newest()?;
        let position = match self.sessions.first_unconfirmed() {
            Some(first) => self.tail.before(first)?,
            None => applied,
        };
        if self.acked.is_some_and(|acked| acked == position || acked.seq > position.seq) {
            return None;
        }
        self.acked = Some(position);
        let (confirmed, waited_out) = self.sessions.take_counts();
        Some(Effect::Confirm { position, confirmed, waited_out })
    }
}

#[cfg(test)]
mod tests;
