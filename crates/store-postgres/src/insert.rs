//! Creates tokens. The order of the locks is explained in [`crate::revoke`].

use gatekey_core::{Act, Action, AuditEntry, CreateRequest, Insertion, NewToken, Outcome};
use gatekey_model::{TenantId, Token, TokenId};
use sqlx::FromRow;
use sqlx::types::time::OffsetDateTime;

use crate::audit;
use crate::fault::Fault;
use crate::notice::commit;
use crate::revoke::{LockedToken, append, lock_token};
use crate::rows;
use crate::statements::Statements;

/// What an earlier use of a request id left.
#[derive(FromRow)]
struct EarlierRow {
    payload: Vec<u8>,
    token_id: Option<i64>,
    create_time: OffsetDateTime,
}

/// What an earlier use of a request id means for this call.
enum Earlier {
    None,
    Replaced(LockedToken),
    Refused(Insertion),
}

pub(crate) async fn insert(connection: &mut Statements<'_>, new: NewToken) -> Result<Insertion, Fault> {
    let mut transaction = connection.begin().await?;
    let replaced = match &new.request {
        None => None,
        Some(request) => match earlier(&mut transaction, &new.tenant, &new.act, request).await? {
            Earlier::None => None,
            Earlier::Replaced(token) => Some((token, request.nonce)),
            // Whatever was written goes when the transaction is dropped.
            Earlier::Refused(refusal) => return Ok(refusal),
        },
    };
    if !count(&mut transaction, &new, replaced.is_some()).await? {
        return Ok(Insertion::LimitReached);
    }
    let id = insert_row(&mut transaction, &new).await?;
    let mut revocation = None;
    if let Some((token, nonce)) = replaced {
        let token_id = Some(token.id.get());
        let (act, outcome) = (new.act.clone(), Outcome::Replaced);
        let entry = AuditEntry { act, action: Action::Delete, token_id, outcome };
        audit::record(&mut transaction, entry).await?;
        revocation = Some(append(&mut transaction, &token, nonce, new.act.at).await?);
    }
    commit(transaction).await?;
    Ok(Insertion::Created { token: created(id, new), replaced: revocation })
}

/// Locks the request id and looks at what it was used for. The row is made here if there is none, so
/// that of two first calls at once, one waits for the other.
async fn earlier(
    connection: &mut Statements<'_>,
    tenant: &TenantId,
    act: &Act,
    request: &CreateRequest,
) -> Result<Earlier, Fault> {
    let row: EarlierRow = sqlx::query_as(
        "INSERT INTO create_request AS earlier (issuer, subject, tenant, request_id, payload, create_time)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (issuer, subject, tenant, request_id) DO UPDATE SET payload = earlier.payload
         RETURNING payload, token_id, create_time",
    )
    .bind(&act.issuer)
    .bind(&act.subject)
    .bind(tenant.as_str())
    .bind(request.id.as_uuid())
    .bind(request.payload)
    .bind(act.at.to_date_time())
    .fetch_one(&mut *connection)
    .await?;
    let Some(token_id) = row.token_id else { return Ok(Earlier::None) };
    if row.create_time < request.since.to_date_time() {
        return Ok(Earlier::None);
    }
    if row.payload != request.payload {
        return Ok(Earlier::Refused(Insertion::RequestIdReused));
    }
    let token = lock_token(connection, tenant, rows::token_id(token_id)?).await?;
    let token = token.ok_or(Fault::Impossible("a request id without its token"))?;
    if token.revoked.is_some() {
        return Ok(Earlier::Refused(Insertion::RequestIdSpent));
    }
    Ok(Earlier::Replaced(token))
}

/// Counts the new token, in the place of the replaced one if there is one. False if that is over the
/// limit. The tenant's row is locked from here on, so the count is exact.
async fn count(connection: &mut Statements<'_>, new: &NewToken, replaces: bool) -> Result<bool, Fault> {
    let counted = sqlx::query(
        "INSERT INTO tenant (id, live_tokens) SELECT $1, 1 WHERE $3 >= 1
         ON CONFLICT (id) DO UPDATE SET live_tokens = tenant.live_tokens + $2
         WHERE tenant.live_tokens + $2 <= $3",
    )
    .bind(new.tenant.as_str())
    .bind(i64::from(!replaces))
    .bind(i64::from(new.limit))
    .execute(connection)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// Inserts the token, points its request id at it, and writes it to the audit log.
async fn insert_row(connection: &mut Statements<'_>, new: &NewToken) -> Result<TokenId, Fault> {
    let id: i64 = sqlx::query_scalar(
        "WITH made AS (
             INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             RETURNING id
         ), pointed AS (
             UPDATE create_request SET token_id = made.id, payload = $11, create_time = $8
             FROM made
             WHERE issuer = $7 AND subject = $6 AND tenant = $1 AND request_id = $10
         ), audited AS (
             INSERT INTO audit_log (log_time, issuer, subject, tenant, action, token_id, call_id, outcome)
             SELECT $8, $7, $6, $12, $13, id, $14, $15 FROM made
         )
         SELECT id FROM made",
    )
    .bind(new.tenant.as_str())
    .bind(new.name.as_str())
    .bind(new.key.as_str())
    .bind(new.kind.as_str())
    .bind(new.digest.as_bytes())
    .bind(&new.act.subject)
    .bind(&new.act.issuer)
    .bind(new.act.at.to_date_time())
    .bind(new.expires.to_date_time())
    .bind(new.request.as_ref().map(|request| request.id.as_uuid()))
    .bind(new.request.as_ref().map(|request| request.payload))
    .bind(new.act.tenant.as_ref().map(TenantId::as_str))
    .bind(Action::Create.as_str())
    .bind(&new.act.call_id)
    .bind(Outcome::Done.to_text())
    .fetch_one(connection)
    .await?;
    rows::token_id(id)
}

fn created(id: TokenId, new: NewToken) -> Token {
    Token {
        id,
        name: new.name,
        key: new.key,
        kind: new.kind,
        tenant: new.tenant,
        creator: new.act.subject,
        created: new.act.at,
        expires: new.expires,
    }
}
