//! Revokes tokens. There is one writer, so the order of transactions is the order of the log.

use std::time::Duration;

use gatekey_core::{Act, Action, AuditEntry, Outcome, Revocation};
use gatekey_lease::{Nonce, Position};
use gatekey_model::{TenantId, Timestamp, TokenDigest, TokenId};
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::bounded::Ending;
use crate::fault::Fault;
use crate::rows::{self, PositionRow};

/// A token that is about to be revoked, unless it is already.
#[derive(Clone, Copy)]
pub(crate) struct Doomed {
    pub(crate) id: TokenId,
    pub(crate) digest: TokenDigest,
    pub(crate) revoked: Option<Position>,
}

#[derive(FromRow)]
struct DoomedRow {
    digest: Vec<u8>,
    revoked_seq: Option<i64>,
    revoked_nonce: Option<i64>,
}

/// The head, moved on by one.
#[derive(FromRow)]
struct MovedRow {
    #[sqlx(flatten)]
    position: PositionRow,
    max_lease_ms: i64,
}

pub(crate) async fn revoke(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    id: TokenId,
    nonce: Nonce,
    act: Act,
) -> Result<Ending<Option<Revocation>>, Fault> {
    let Some(token) = find(connection, &tenant, id).await? else {
        return Ok(Ending::RollBack(None));
    };
    let outcome = if token.revoked.is_some() { Outcome::Repeated } else { Outcome::Done };
    let at = act.at;
    let entry = AuditEntry { act, action: Action::Delete, token_id: Some(id.get()), outcome };
    audit::record(connection, entry).await?;
    let revocation = if let Some(position) = token.revoked {
        let max_lease = max_lease(connection).await?;
        Revocation { position, repeated: true, max_lease }
    } else {
        count_one_less(connection, &tenant).await?;
        append(connection, &token, nonce, at).await?
    };
    Ok(Ending::Commit(Some(revocation)))
}

/// The longest lease that was ever given.
async fn max_lease(connection: &mut SqliteConnection) -> Result<Duration, Fault> {
    let row: Option<i64> =
        sqlx::query_scalar("SELECT max_lease_ms FROM head").fetch_optional(connection).await?;
    rows::lease(row.ok_or(Fault::Impossible("no head"))?)
}

/// Finds a token of this tenant. A token of another tenant and one that never existed are the same to
/// this query.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    id: TokenId,
) -> Result<Option<Doomed>, Fault> {
    let row: Option<DoomedRow> =
        sqlx::query_as("SELECT digest, revoked_seq, revoked_nonce FROM token WHERE id = ?1 AND tenant = ?2")
            .bind(id.get())
            .bind(tenant.as_str())
            .fetch_optional(connection)
            .await?;
    let Some(DoomedRow { digest, revoked_seq, revoked_nonce }) = row else { return Ok(None) };
    let revoked = rows::tombstone(revoked_seq, revoked_nonce)?;
    Ok(Some(Doomed { id, digest: rows::digest(&digest)?, revoked }))
}

async fn count_one_less(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<(), Fault> {
    let counted = sqlx::query("UPDATE tenant SET live_tokens = live_tokens - 1 WHERE id = ?1")
        .bind(tenant.as_str())
        .execute(connection)
        .await?;
    if counted.rows_affected() == 1 { Ok(()) } else { Err(Fault::Impossible("a token without its tenant")) }
}

/// Appends a revocation to the log and marks the token with it.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    token: &Doomed,
    nonce: Nonce,
    at: Timestamp,
) -> Result<Revocation, Fault> {
    let row: Option<MovedRow> =
        sqlx::query_as("UPDATE head SET seq = seq + 1, nonce = ?1 RETURNING seq, nonce, max_lease_ms")
            .bind(rows::stored_nonce(nonce))
            .fetch_optional(&mut *connection)
            .await?;
    let MovedRow { position: row, max_lease_ms } = row.ok_or(Fault::Impossible("no head"))?;
    sqlx::query(
        "INSERT INTO revocation_log (seq, nonce, kind, digest, log_time) VALUES (?1, ?2, 'revoke', ?3, ?4)",
    )
    .bind(row.seq)
    .bind(row.nonce)
    .bind(token.digest.as_bytes().as_slice())
    .bind(at.unix_micros())
    .execute(&mut *connection)
    .await?;
    let marked = sqlx::query(
        "UPDATE token SET revoked_seq = ?1, revoked_nonce = ?2 WHERE id = ?3 AND revoked_seq IS NULL",
    )
    .bind(row.seq)
    .bind(row.nonce)
    .bind(token.id.get())
    .execute(connection)
    .await?;
    if marked.rows_affected() != 1 {
        return Err(Fault::Impossible("a found token that can't be marked"));
    }
    Ok(Revocation { position: rows::position(&row)?, repeated: false, max_lease: rows::lease(max_lease_ms)? })
}
