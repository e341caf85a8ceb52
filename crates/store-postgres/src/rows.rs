//! Rows as they lie in Postgres, and what they mean. A row that can't be is a fault.

use std::time::Duration;

use gatekey_core::LogEntry;
use gatekey_lease::{Digest, Entry, Nonce, Position, ReplicaId, Row, RowAck, Seq};
use gatekey_model::{TenantId, Timestamp, Token, TokenDigest, TokenId, TokenKey, TokenName, TokenType};
use sqlx::FromRow;
use sqlx::types::time::OffsetDateTime;

use crate::fault::Fault;

#[derive(FromRow)]
pub(crate) struct TokenRow {
    id: i64,
    tenant: String,
    name: String,
    key: String,
    kind: String,
    creator: String,
    create_time: OffsetDateTime,
    expire_time: OffsetDateTime,
}

#[derive(FromRow)]
pub(crate) struct PositionRow {
    pub(crate) seq: i64,
    pub(crate) nonce: i64,
}

#[derive(FromRow)]
pub(crate) struct LogRow {
    seq: i64,
    nonce: i64,
    digest: Option<Vec<u8>>,
}

/// A replica's row; without an id, a position that was asked about and that the log contains.
#[derive(FromRow)]
pub(crate) struct ReplicaRow {
    id: Option<Vec<u8>>,
    n: i64,
    lease_ms: i64,
    acked_seq: Option<i64>,
    acked_nonce: Option<i64>,
    in_log: bool,
    confirmed: i64,
    waited_out: i64,
}

/// What a [`ReplicaRow`] is.
pub(crate) enum Replica {
    Row(Row),
    Contained(Position),
}

pub(crate) fn token(row: TokenRow) -> Result<Token, Fault> {
    Ok(Token {
        id: token_id(row.id)?,
        name: TokenName::parse(&row.name).map_err(|_| Fault::Impossible("a token's name"))?,
        key: TokenKey::from_stored(row.key),
        kind: TokenType::from_name(&row.kind).ok_or(Fault::Impossible("a token's type"))?,
        tenant: TenantId::parse(&row.tenant).map_err(|_| Fault::Impossible("a token's tenant"))?,
        creator: row.creator,
        created: Timestamp::from_date_time(row.create_time),
        expires: Timestamp::from_date_time(row.expire_time),
    })
}

pub(crate) fn token_id(id: i64) -> Result<TokenId, Fault> {
    TokenId::parse(id).map_err(|_| Fault::Impossible("a token's id"))
}

pub(crate) fn seq(seq: i64) -> Result<Seq, Fault> {
    Seq::new(seq).ok_or(Fault::Impossible("a number in the log"))
}

/// The nonce is a bit cast: Postgres has no unsigned numbers.
pub(crate) fn position(row: &PositionRow) -> Result<Position, Fault> {
    Ok(Position { seq: seq(row.seq)?, nonce: Nonce::from_bits(row.nonce.cast_unsigned()) })
}

/// Where the revocation of a token stands, if it is revoked.
pub(crate) fn tombstone(seq: Option<i64>, nonce: Option<i64>) -> Result<Option<Position>, Fault> {
    let revoked = seq.zip(nonce).map(|(seq, nonce)| PositionRow { seq, nonce });
    revoked.as_ref().map(position).transpose()
}

pub(crate) fn stored_nonce(nonce: Nonce) -> i64 {
    nonce.bits().cast_signed()
}

pub(crate) fn digest(bytes: &[u8]) -> Result<TokenDigest, Fault> {
    bytes.try_into().map(TokenDigest::from_bytes).map_err(|_| Fault::Impossible("a digest"))
}

pub(crate) fn log_entry(row: &LogRow) -> Result<LogEntry, Fault> {
    let position = position(&PositionRow { seq: row.seq, nonce: row.nonce })?;
    Ok(LogEntry { position, revokes: row.digest.as_deref().map(digest).transpose()? })
}

pub(crate) fn entry(row: &LogRow) -> Result<Entry, Fault> {
    let LogEntry { position, revokes } = log_entry(row)?;
    Ok(Entry { position, revokes: revokes.map(|digest| Digest(*digest.as_bytes())) })
}

pub(crate) fn replica(row: &ReplicaRow) -> Result<Replica, Fault> {
    let acked = row.acked_seq.zip(row.acked_nonce).map(|(seq, nonce)| PositionRow { seq, nonce });
    let acked = acked.as_ref().map(position).transpose()?;
    let Some(id) = &row.id else {
        return acked.map(Replica::Contained).ok_or(Fault::Impossible("a position in the log"));
    };
    let count = |count| u32::try_from(count).map_err(|_| Fault::Impossible("a count of holders"));
    let (confirmed, waited_out) = (count(row.confirmed)?, count(row.waited_out)?);
    Ok(Replica::Row(Row {
        id: replica_id(id)?,
        n: row.n.cast_unsigned(),
        lease: lease(row.lease_ms)?,
        ack: acked.map(|position| RowAck { position, in_log: row.in_log, confirmed, waited_out }),
    }))
}

fn replica_id(bytes: &[u8]) -> Result<ReplicaId, Fault> {
    let bytes = bytes.try_into().map_err(|_| Fault::Impossible("a replica's id"))?;
    Ok(ReplicaId(u128::from_be_bytes(bytes)))
}

pub(crate) fn stored_replica_id(id: ReplicaId) -> [u8; 16] {
    id.0.to_be_bytes()
}

pub(crate) fn lease(milliseconds: i64) -> Result<Duration, Fault> {
    let milliseconds = milliseconds.try_into().map_err(|_| Fault::Impossible("a lease"))?;
    Ok(Duration::from_millis(milliseconds))
}

/// In whole milliseconds, and no shorter than it is.
pub(crate) fn stored_lease(lease: Duration) -> i64 {
    lease.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> TokenRow {
        TokenRow {
            id: 1,
            tenant: "acme".to_owned(),
            name: "name".to_owned(),
            key: "gk_b_00000000".to_owned(),
            kind: "batch".to_owned(),
            creator: "ada".to_owned(),
            create_time: OffsetDateTime::UNIX_EPOCH,
            expire_time: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_row_that_cant_be_is_a_fault() {
        assert!(token(row()).is_ok());
        for broken in [
            TokenRow { id: 0, ..row() },
            TokenRow { tenant: String::new(), ..row() },
            TokenRow { name: "\u{202e}".to_owned(), ..row() },
            TokenRow { kind: "other".to_owned(), ..row() },
        ] {
            assert!(matches!(token(broken), Err(Fault::Impossible(_))));
        }
        assert!(position(&PositionRow { seq: -1, nonce: 0 }).is_err());
        assert!(digest(&[0; 31]).is_err());
    }

    #[test]
    fn a_lease_is_never_stored_shorter_than_it_is() {
        for (nanoseconds, milliseconds) in
            [(1, 1), (1_000_000, 1), (1_000_001, 2), (u64::MAX, 18_446_744_073_710)]
        {
            assert_eq!(stored_lease(Duration::from_nanos(nanoseconds)), milliseconds);
        }
        assert_eq!(stored_lease(Duration::MAX), i64::MAX);
        assert!(lease(-1).is_err());
    }

    #[test]
    fn a_nonce_keeps_its_bits() {
        for bits in [0, 1, u64::MAX, 1 << 63] {
            let stored = PositionRow { seq: 0, nonce: stored_nonce(Nonce::from_bits(bits)) };
            assert_eq!(position(&stored).expect("a position").nonce.bits(), bits);
        }
    }
}
