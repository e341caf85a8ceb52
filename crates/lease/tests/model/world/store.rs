//! The abstract store: one log, its head, and the replicas' rows. Each method is one transaction or one statement.

use std::collections::BTreeMap;
use std::time::Duration;

use gatekey_lease::{Digest, Entry, Epoch, Head, Nonce, Position, ReplicaId, Row, RowAck, Rows, Seq};

use super::config::LEASE;

/// The token that is deleted.
pub(crate) const TOKEN: Digest = Digest([1; 32]);

/// Another one.
pub(crate) const OTHER: Digest = Digest([2; 32]);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    log: Vec<Entry>,
    rows: BTreeMap<ReplicaId, StoredRow>,
    epoch: i64,
    max_lease: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StoredRow {
    n: u64,
    lease: Duration,
    ack: Option<Position>,
}

impl Store {
    pub(crate) fn new() -> Self {
        let position = Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(0) };
        let log = vec![Entry { position, revokes: None }];
        // Some longer lease was used once.
        Self { log, rows: BTreeMap::new(), epoch: 0, max_lease: Duration::from_nanos(LEASE) }
    }

    pub(crate) fn head(&self) -> Head {
        Head { position: self.newest().position, epoch: Epoch(self.epoch) }
    }

    fn newest(&self) -> &Entry {
        self.log.last().expect("the log begins with a genesis entry")
    }

    pub(crate) fn entries_from(&self, from: Seq) -> Vec<Entry> {
        self.log.iter().filter(|entry| entry.position.seq >= from).copied().collect()
    }

    /// A delete's transaction.
    pub(crate) fn revoke(&mut self, digest: Digest, nonce: u64) -> (Position, Duration) {
        let position = Position { seq: self.newest().position.seq.next(), nonce: Nonce::from_bits(nonce) };
        self.log.push(Entry { position, revokes: Some(digest) });
        (position, self.max_lease)
    }

    /// Where the token was revoked, if it was.
    pub(crate) fn tombstone(&self) -> Option<(Position, Duration)> {
        let entry = self.log.iter().find(|entry| entry.revokes == Some(TOKEN))?;
        Some((entry.position, self.max_lease))
    }

    pub(crate) fn contains(&self, position: Position) -> bool {
        self.log.iter().any(|entry| entry.position == position)
    }

    /// Whether the log has an entry of this number, whichever it is.
    pub(crate) fn contains_number(&self, position: Position) -> bool {
        position.seq <= self.newest().position.seq
    }

    /// A renewal's transaction; whether the row was inserted.
    pub(crate) fn commit_row(&mut self, id: ReplicaId, n: u64, lease: Duration) -> bool {
        let ack = self.rows.get(&id).map(|row| row.ack);
        self.rows.insert(id, StoredRow { n, lease, ack: ack.flatten() });
        self.max_lease = self.max_lease.max(lease);
        ack.is_none()
    }

    pub(crate) fn confirm(&mut self, id: ReplicaId, position: Position, bare: bool) {
        let known = if bare { self.contains_number(position) } else { self.contains(position) };
        if let Some(row) = self.rows.get_mut(&id)
            && known
        {
            row.ack = Some(position);
        }
    }

    pub(crate) fn remove_row(&mut self, id: ReplicaId, n: u64) -> bool {
        let stands = self.rows.get(&id).is_some_and(|row| row.n == n);
        if stands {
            self.rows.remove(&id);
        }
        stands
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let ack =
            |position| RowAck { position, in_log: self.contains(position), confirmed: 0, waited_out: 0 };
        let row = |(id, row): (&ReplicaId, &StoredRow)| Row {
            id: *id,
            n: row.n,
            lease: row.lease,
            ack: row.ack.map(ack),
        };
        self.rows.iter().map(row).collect()
    }

    pub(crate) fn rows_for(&self, own: Position) -> Rows {
        Rows { rows: self.rows(), contains: self.contains(own) }
    }

    /// Loses the newest entry.
    pub(crate) fn fork(&mut self, new_epoch: bool) {
        if self.log.len() > 1 {
            self.log.pop();
        }
        self.epoch += i64::from(new_epoch);
    }
}
