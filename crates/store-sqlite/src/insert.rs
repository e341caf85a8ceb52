//! Creates tokens.

use gatekey_core::{Act, Action, AuditEntry, CreateRequest, Insertion, NewToken, Outcome};
use gatekey_model::{TenantId, Token, TokenId};
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::bounded::Ending;
use crate::fault::Fault;
use crate::revoke::{Doomed, append, find};
use crate::rows;

/// What an earlier use of a request id left.
#[derive(FromRow)]
struct EarlierRow {
    payload: Vec<u8>,
    token_id: i64,
}

/// What an earlier use of a request id means for this call.
enum Earlier {
    None,
    Replaced(Doomed),
    Refused(Insertion),
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: NewToken,
) -> Result<Ending<Insertion>, Fault> {
    let replaced = match &new.request {
        None => None,
        Some(request) => match earlier(connection, &new.tenant, &new.act, request).await? {
            Earlier::None => None,
            Earlier::Replaced(token) => Some((token, request.nonce)),
            Earlier::Refused(refusal) => return Ok(Ending::RollBack(refusal)),
        },
    };
    if !count(connection, &new, replaced.is_some()).await? {
        return Ok(Ending::RollBack(Insertion::LimitReached));
    }
    let id = insert_row(connection, &new).await?;
    if let Some(request) = &new.request {
        point(connection, &new, request, id).await?;
    }
    let (act, token_id) = (new.act.clone(), Some(id.get()));
    audit::record(connection, AuditEntry { act, action: Action::Create, token_id, outcome: Outcome::Done })
        .await?;
    let mut revocation = None;
    if let Some((token, nonce)) = replaced {
        let (act, token_id) = (new.act.clone(), Some(token.id.get()));
        let entry = AuditEntry { act, action: Action::Delete, token_id, outcome: Outcome::Replaced };
        audit::record(connection, entry).await?;
        revocation = Some(append(connection, &token, nonce, new.act.at).await?);
    }
    Ok(Ending::Commit(Insertion::Created { token: created(id, new), replaced: revocation }))
}

/// Looks at what the request id was used for within its window.
async fn earlier(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    act: &Act,
    request: &CreateRequest,
) -> Result<Earlier, Fault> {
    let row: Option<EarlierRow> = sqlx::query_as(
        "SELECT payload, token_id FROM create_request
         WHERE issuer = ?1 AND subject = ?2 AND tenant = ?3 AND request_id = ?4 AND create_time >= ?5",
    )
    .bind(&act.issuer)
    .bind(&act.subject)
    .bind(tenant.as_str())
    .bind(request.id.as_uuid().as_bytes().as_slice())
    .bind(request.since.unix_micros())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(EarlierRow { payload, token_id }) = row else { return Ok(Earlier::None) };
    if payload != request.payload {
        return Ok(Earlier::Refused(Insertion::RequestIdReused));
    }
    let token = find(connection, tenant, rows::token_id(token_id)?).await?;
    let token = token.ok_or(Fault::Impossible("a request id without its token"))?;
    if token.revoked.is_some() {
        return Ok(Earlier::Refused(Insertion::RequestIdSpent));
    }
    Ok(Earlier::Replaced(token))
}

/// Counts the new token, in the place of the replaced one if there is one. False if that is over the
/// limit.
async fn count(connection: &mut SqliteConnection, new: &NewToken, replaces: bool) -> Result<bool, Fault> {
    let counted = sqlx::query(
        "INSERT INTO tenant (id, live_tokens) SELECT ?1, 1 WHERE ?3 >= 1
         ON CONFLICT (id) DO UPDATE SET live_tokens = live_tokens + ?2 WHERE live_tokens + ?2 <= ?3",
    )
    .bind(new.tenant.as_str())
    .bind(i64::from(!replaces))
    .bind(i64::from(new.limit))
    .execute(connection)
    .await?;
    Ok(counted.rows_affected() == 1)
}

async fn insert_row(connection: &mut SqliteConnection, new: &NewToken) -> Result<TokenId, Fault> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         RETURNING id",
    )
    .bind(new.tenant.as_str())
    .bind(new.name.as_str())
    .bind(new.key.as_str())
    .bind(new.kind.as_str())
    .bind(new.digest.as_bytes().as_slice())
    .bind(&new.act.subject)
    .bind(&new.act.issuer)
    .bind(new.act.at.unix_micros())
    .bind(new.expires.unix_micros())
    .fetch_one(connection)
    .await?;
    rows::token_id(id)
}

/// Points the request id at the new token, whatever it was used for before.
async fn point(
    connection: &mut SqliteConnection,
    new: &NewToken,
    request: &CreateRequest,
    id: TokenId,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO create_request (issuer, subject, tenant, request_id, payload, token_id, create_time)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (issuer, subject, tenant, request_id) DO UPDATE
         SET payload = excluded.payload, token_id = excluded.token_id, create_time = excluded.create_time",
    )
    .bind(&new.act.issuer)
    .bind(&new.act.subject)
    .bind(new.tenant.as_str())
    .bind(request.id.as_uuid().as_bytes().as_slice())
    .bind(request.payload.as_slice())
    .bind(id.get())
    .bind(new.act.at.unix_micros())
    .execute(connection)
    .await?;
    Ok(())
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
