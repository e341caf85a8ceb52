//! Revokes tokens, and says in which order a transaction takes its locks.
//!
//! Every transaction that writes takes them in this order: the `create_request` row, the `token` row,
//! the `tenant` row, the `replica` row, the `head` row. As all agree, no two can wait for each other. The lock on `head`
//! makes the order of commits the order of the log's numbers, and every revocation of every tenant
//! waits for it: so it is taken last, by the last statement before the commit.

use std::time::Duration;

use gatekey_core::{Act, Action, AuditEntry, Outcome, Revocation};
use gatekey_lease::{Nonce, Position};
use gatekey_model::{TenantId, Timestamp, TokenDigest, TokenId};
use sqlx::{FromRow, Row};

use crate::audit;
use crate::fault::Fault;
use crate::notice::commit;
use crate::rows::{self, PositionRow};
use crate::statements::Statements;

/// A token whose row is locked.
#[derive(Clone, Copy)]
pub(crate) struct LockedToken {
    pub(crate) id: TokenId,
    pub(crate) digest: TokenDigest,
    pub(crate) revoked: Option<Position>,
}

#[derive(FromRow)]
struct LockedRow {
    digest: Vec<u8>,
    revoked_seq: Option<i64>,
    revoked_nonce: Option<i64>,
}

pub(crate) async fn revoke(
    connection: &mut Statements<'_>,
    tenant: TenantId,
    id: TokenId,
    nonce: Nonce,
    act: Act,
) -> Result<Option<Revocation>, Fault> {
    let mut transaction = connection.begin().await?;
    let Some(token) = lock_token(&mut transaction, &tenant, id).await? else {
        // Nothing was written; the transaction ends when it is dropped.
        return Ok(None);
    };
    // Of a repeated delete too: by writing it proves, as the first one may have failed to, that the tombstone is on
    // the synchronous standby. Without it a failover could lose a delete that was answered with OK.
    let outcome = if token.revoked.is_some() { Outcome::Repeated } else { Outcome::Done };
    let at = act.at;
    let entry = AuditEntry { act, action: Action::Delete, token_id: Some(id.get()), outcome };
    audit::record(&mut transaction, entry).await?;
    let revocation = if let Some(position) = token.revoked {
        let max_lease = max_lease(&mut transaction).await?;
        Revocation { position, repeated: true, max_lease }
    } else {
        count_one_less(&mut transaction, &tenant).await?;
        append(&mut transaction, &token, nonce, at).await?
    };
    commit(transaction).await?;
    Ok(Some(revocation))
}

/// The longest lease that was ever given. Takes no lock: whoever commits a longer one after this reads a
/// head that has the revocation.
async fn max_lease(connection: &mut Statements<'_>) -> Result<Duration, Fault> {
    let row: Option<i64> =
        sqlx::query_scalar("SELECT max_lease_ms FROM head").fetch_optional(connection).await?;
    rows::lease(row.ok_or(Fault::Impossible("no head"))?)
}

/// Finds a token of this tenant and locks its row. A token of another tenant and one that never
/// existed are the same to this query.
pub(crate) async fn lock_token(
    connection: &mut Statements<'_>,
    tenant: &TenantId,
    id: TokenId,
) -> Result<Option<LockedToken>, Fault> {
    let row: Option<LockedRow> = sqlx::query_as(
        "SELECT digest, revoked_seq, revoked_nonce FROM token
         WHERE id = $1 AND tenant = $2
         FOR NO KEY UPDATE",
    )
    .bind(id.get())
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?;
    let Some(LockedRow { digest, revoked_seq, revoked_nonce }) = row else { return Ok(None) };
    let revoked = rows::tombstone(revoked_seq, revoked_nonce)?;
    Ok(Some(LockedToken { id, digest: rows::digest(&digest)?, revoked }))
}

async fn count_one_less(connection: &mut Statements<'_>, tenant: &TenantId) -> Result<(), Fault> {
    let counted = sqlx::query("UPDATE tenant SET live_tokens = live_tokens - 1 WHERE id = $1")
        .bind(tenant.as_str())
        .execute(connection)
        .await?;
    if counted.rows_affected() == 1 { Ok(()) } else { Err(Fault::Impossible("a token without its tenant")) }
}

/// Appends a revocation to the log, marks the token with it, and wakes whoever listens when it is
/// committed. The last statement of a transaction: from here to the commit every other revocation
/// waits.
pub(crate) async fn append(
    connection: &mut Statements<'_>,
    token: &LockedToken,
    nonce: Nonce,
    at: Timestamp,
) -> Result<Revocation, Fault> {
    let row = sqlx::query(
        "WITH moved AS (
             UPDATE head SET seq = seq + 1, nonce = $1 RETURNING seq, nonce, max_lease_ms
         ), logged AS (
             INSERT INTO revocation_log (seq, nonce, kind, digest, log_time)
             SELECT seq, nonce, 'revoke', $2, $3 FROM moved
         ), marked AS (
             UPDATE token SET revoked_seq = moved.seq, revoked_nonce = moved.nonce
             FROM moved WHERE token.id = $4 AND token.revoked_seq IS NULL
             RETURNING token.id
         )
         SELECT seq, nonce, max_lease_ms, (SELECT count(*) FROM marked) AS marked,
                pg_notify('gatekey_revocations', seq::text)
         FROM moved",
    )
    .bind(rows::stored_nonce(nonce))
    .bind(token.digest.as_bytes())
    .bind(at.to_date_time())
    .bind(token.id.get())
    .fetch_optional(connection)
    .await?
    .ok_or(Fault::Impossible("no head"))?;
    if row.try_get::<i64, _>("marked")? != 1 {
        return Err(Fault::Impossible("a locked token that can't be marked"));
    }
    let position = rows::position(&PositionRow::from_row(&row)?)?;
    let max_lease = rows::lease(row.try_get("max_lease_ms")?)?;
    Ok(Revocation { position, repeated: false, max_lease })
}
