//! The simulated store: one log, its head, the replicas' rows and the tokens. Each method is one transaction or
//! one statement. Whether it is reached, and by whom, is left to others.

use std::collections::BTreeMap;
use std::time::Duration;

use gatekey_lease::{Digest, Entry, Epoch, Head, Nonce, Position, ReplicaId, Row, RowAck, Rows, Seq};

/// A token of the simulation, by its number.
pub(crate) type TokenNumber = u32;

/// A token, as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Absent,
    Live,
    Revoked(Position),
}

#[derive(Clone, Debug)]
struct StoredRow {
    n: u64,
    lease: Duration,
    ack: Option<(Position, u32, u32)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    log: Vec<Entry>,
    rows: BTreeMap<ReplicaId, StoredRow>,
    tokens: Vec<Stored>,
    epoch: i64,
    max_lease: Duration,
}

/// A token's digest: its number, and bits that spread it over a map.
pub(crate) fn digest(token: TokenNumber) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&crate::random::mix(u64::from(token)).to_be_bytes());
    bytes[8..12].copy_from_slice(&token.to_be_bytes());
    Digest(bytes)
}

/// The number of the token with this digest.
pub(crate) fn token_of(digest: &Digest) -> TokenNumber {
    let Digest(bytes) = digest;
    u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
}

impl Store {
    pub(crate) fn new(nonce: u64) -> Self {
        let position = Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(nonce) };
        let log = vec![Entry { position, revokes: None }];
        Self { log, rows: BTreeMap::new(), tokens: Vec::new(), epoch: 0, max_lease: Duration::ZERO }
    }

    pub(crate) fn head(&self) -> Head {
        Head { position: self.newest(), epoch: Epoch(self.epoch) }
    }

    pub(crate) fn newest(&self) -> Position {
        self.log.last().expect("the log begins with a genesis entry").position
    }

    pub(crate) fn entries_from(&self, from: Seq, limit: usize) -> Vec<Entry> {
        let from = usize::try_from(from.get()).unwrap_or(usize::MAX).min(self.log.len());
        self.log[from..].iter().take(limit).copied().collect()
    }

    pub(crate) fn contains(&self, position: Position) -> bool {
        let place = usize::try_from(position.seq.get()).ok();
        place.and_then(|place| self.log.get(place)).is_some_and(|entry| entry.position == position)
    }

    /// Whether the log has an entry of this number, whichever it is. Not what anyone should ask.
    pub(crate) fn contains_number(&self, position: Position) -> bool {
        position.seq <= self.newest().seq
    }

    pub(crate) fn token(&self, token: TokenNumber) -> Stored {
        self.tokens.get(token as usize).copied().unwrap_or(Stored::Absent)
    }

    /// How many numbers of tokens it knows.
    pub(crate) const fn tokens(&self) -> usize {
        self.tokens.len()
    }

    fn set(&mut self, token: TokenNumber, stored: Stored) {
        let place = token as usize;
        if self.tokens.len() <= place {
            self.tokens.resize(place + 1, Stored::Absent);
        }
        self.tokens[place] = stored;
    }

    pub(crate) fn create(&mut self, token: TokenNumber) {
        self.set(token, Stored::Live);
    }

    /// A delete's transaction: the position, the longest lease, and whether the token had been deleted before.
    /// Nothing if there is no such token.
    pub(crate) fn revoke(&mut self, token: TokenNumber, nonce: u64) -> Option<(Position, Duration, bool)> {
        match self.token(token) {
            Stored::Absent => None,
            Stored::Revoked(position) => Some((position, self.max_lease, true)),
            Stored::Live => {
                let position = Position { seq: self.newest().seq.next(), nonce: Nonce::from_bits(nonce) };
                self.log.push(Entry { position, revokes: Some(digest(token)) });
                self.set(token, Stored::Revoked(position));
                Some((position, self.max_lease, false))
            }
        }
    }

    /// A renewal's transaction; whether the row was inserted.
    pub(crate) fn commit_row(&mut self, id: ReplicaId, n: u64, lease: Duration) -> bool {
        let old = self.rows.get(&id).map(|row| row.ack);
        self.rows.insert(id, StoredRow { n, lease, ack: old.flatten() });
        self.max_lease = self.max_lease.max(lease);
        old.is_none()
    }

    /// Whether anything was confirmed. `bare` compares the number only.
    pub(crate) fn confirm(&mut self, id: ReplicaId, ack: (Position, u32, u32), bare: bool) -> bool {
        let known = if bare { self.contains_number(ack.0) } else { self.contains(ack.0) };
        match self.rows.get_mut(&id) {
            Some(row) if known => {
                row.ack = Some(ack);
                true
            }
            _ => false,
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
        let ack = |(position, confirmed, waited_out)| RowAck {
            position,
            in_log: self.contains(position),
            confirmed,
            waited_out,
        };
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

    pub(crate) fn set_epoch(&mut self, epoch: i64) {
        self.epoch = epoch;
    }

    /// Loses what came after this entry; how much that was.
    pub(crate) fn truncate(&mut self, last: Seq) -> usize {
        let length = usize::try_from(last.get()).unwrap_or(0) + 1;
        let lost = self.log.split_off(length.min(self.log.len()));
        for entry in &lost {
            if let Some(digest) = &entry.revokes {
                self.set(token_of(digest), Stored::Live);
            }
        }
        lost.len()
    }
}
