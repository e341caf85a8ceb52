//! What an operator does to many tokens at once. The order of the locks is explained in [`crate::revoke`]; where there are
//! several of a kind, they are taken by id.

use std::collections::HashMap;

use gatekey_core::{
    Act, Action, AuditEntry, EpochBegun, Outcome, Revocation, RevokedToken, SelectedToken, Selection,
};
use gatekey_lease::{Nonce, Seq};
use gatekey_model::{Timestamp, TokenId, TokenKey};
use sqlx::postgres::PgRow;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, Row};

use crate::audit;
use crate::fault::Fault;
use crate::notice::commit;
use crate::rows::{self, PositionRow, TokenRow};
use crate::statements::Statements;

/// A page of tokens, $1 the id that the page before ended with, $2 its size, $3 and $4 what is asked for.
macro_rules! select {
    ($what:literal) => {
        concat!(
            "SELECT id, tenant, name, key, type AS kind, creator, create_time, expire_time, digest, revoked_seq, ",
            "revoked_nonce FROM token WHERE id > $1 AND ",
            $what,
            " ORDER BY id LIMIT $2"
        )
    };
}

/// A token that is to be revoked, its row locked.
#[derive(FromRow)]
struct DoomedRow {
    id: i64,
    tenant: String,
    digest: Vec<u8>,
    revoked_seq: Option<i64>,
    revoked_nonce: Option<i64>,
}

#[derive(FromRow)]
struct RevokedRow {
    id: i64,
    digest: Vec<u8>,
    key: String,
    #[sqlx(flatten)]
    position: PositionRow,
    log_time: Option<OffsetDateTime>,
}

pub(crate) async fn select(
    connection: &mut Statements<'_>,
    selection: Selection,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<SelectedToken>, Fault> {
    let page =
        |sql: &'static str| sqlx::query(sql).bind(after.map_or(0, TokenId::get)).bind(i64::from(limit));
    let query = match &selection {
        Selection::Digests(digests) => page(select!("digest = ANY($3)"))
            .bind(digests.iter().map(|digest| digest.as_bytes().to_vec()).collect::<Vec<_>>()),
        Selection::Keys(keys) => page(select!("key = ANY($3)"))
            .bind(keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>()),
        Selection::Id { tenant, id } => {
            page(select!("id = $3 AND tenant = $4")).bind(id.get()).bind(tenant.as_str())
        }
        Selection::Tenant(tenant) => page(select!("tenant = $3")).bind(tenant.as_str()),
        Selection::Creator { subject, tenant: None } => page(select!("creator = $3")).bind(subject),
        Selection::Creator { subject, tenant: Some(tenant) } => {
            page(select!("creator = $3 AND tenant = $4")).bind(subject).bind(tenant.as_str())
        }
    };
    let found = query.fetch_all(connection).await?;
    found
        .iter()
        .map(|row: &PgRow| {
            let digest: Vec<u8> = row.try_get("digest")?;
            Ok(SelectedToken {
                token: rows::token(TokenRow::from_row(row)?)?,
                digest: rows::digest(&digest)?,
                revoked: rows::tombstone(row.try_get("revoked_seq")?, row.try_get("revoked_nonce")?)?,
            })
        })
        .collect()
}

/// By writing, it proves that what was committed before is on the synchronous standby.
pub(crate) async fn begin_run(
    connection: &mut Statements<'_>,
    act: Act,
    reason: Option<String>,
) -> Result<Revocation, Fault> {
    let mut transaction = connection.begin().await?;
    let outcome = Outcome::Begun(reason);
    let entry = AuditEntry { act, action: Action::Delete, token_id: None, outcome };
    audit::record(&mut transaction, entry).await?;
    let head = sqlx::query("SELECT seq, nonce, max_lease_ms FROM head")
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(Fault::Impossible("no head"))?;
    let position = rows::position(&PositionRow::from_row(&head)?)?;
    let max_lease = rows::lease(head.try_get("max_lease_ms")?)?;
    commit(transaction).await?;
    Ok(Revocation { position, repeated: true, max_lease })
}

pub(crate) async fn revoke_all(
    connection: &mut Statements<'_>,
    tokens: Vec<(TokenId, Nonce)>,
    act: Act,
) -> Result<Vec<(TokenId, Revocation)>, Fault> {
    let mut transaction = connection.begin().await?;
    let ids: Vec<i64> = tokens.iter().map(|(id, _)| id.get()).collect();
    let doomed: Vec<DoomedRow> = sqlx::query_as(
        "SELECT id, tenant, digest, revoked_seq, revoked_nonce FROM token
         WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(&mut *transaction)
    .await?;
    audit_all(&mut transaction, &doomed, &act).await?;
    let (gone, live): (Vec<_>, Vec<_>) = doomed.iter().partition(|row| row.revoked_seq.is_some());
    count_less(&mut transaction, &live).await?;
    let nonces: HashMap<i64, Nonce> = tokens.iter().map(|(id, nonce)| (id.get(), *nonce)).collect();
    let mut revoked = append_all(&mut transaction, &live, &nonces, act.at).await?;
    if !gone.is_empty() {
        let max_lease: Option<i64> =
            sqlx::query_scalar("SELECT max_lease_ms FROM head").fetch_optional(&mut *transaction).await?;
        let max_lease = rows::lease(max_lease.ok_or(Fault::Impossible("no head"))?)?;
        for row in gone {
            let position = rows::tombstone(row.revoked_seq, row.revoked_nonce)?;
            let position = position.ok_or(Fault::Impossible("half a tombstone"))?;
            revoked.push((rows::token_id(row.id)?, Revocation { position, repeated: true, max_lease }));
        }
    }
    commit(transaction).await?;
    Ok(revoked)
}

async fn audit_all(connection: &mut Statements<'_>, doomed: &[DoomedRow], act: &Act) -> Result<(), Fault> {
    let outcome = |row: &DoomedRow| {
        let outcome = if row.revoked_seq.is_some() { Outcome::Repeated } else { Outcome::Done };
        outcome.to_text().into_owned()
    };
    sqlx::query(
        "INSERT INTO audit_log (log_time, issuer, subject, tenant, action, token_id, call_id, outcome)
         SELECT $1, $2, $3, one.tenant, $4, one.id, $5, one.outcome
         FROM unnest($6::text[], $7::bigint[], $8::text[]) AS one (tenant, id, outcome)",
    )
    .bind(act.at.to_date_time())
    .bind(&act.issuer)
    .bind(&act.subject)
    .bind(Action::Delete.as_str())
    .bind(&act.call_id)
    .bind(doomed.iter().map(|row| row.tenant.clone()).collect::<Vec<_>>())
    .bind(doomed.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind(doomed.iter().map(outcome).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn count_less(connection: &mut Statements<'_>, live: &[&DoomedRow]) -> Result<(), Fault> {
    let tenants: Vec<String> = live.iter().map(|row| row.tenant.clone()).collect();
    sqlx::query("SELECT FROM tenant WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(&tenants)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE tenant SET live_tokens = live_tokens - gone.tokens
         FROM (SELECT id, count(*) AS tokens FROM unnest($1::text[]) AS one (id) GROUP BY id) AS gone
         WHERE tenant.id = gone.id",
    )
    .bind(&tenants)
    .execute(connection)
    .await?;
    Ok(())
}

/// The last statement but for reads: from here to the commit every other revocation waits.
async fn append_all(
    connection: &mut Statements<'_>,
    live: &[&DoomedRow],
    nonces: &HashMap<i64, Nonce>,
    at: Timestamp,
) -> Result<Vec<(TokenId, Revocation)>, Fault> {
    let Some(last) = live.last() else { return Ok(Vec::new()) };
    let nonce = |row: &DoomedRow| {
        let nonce = nonces.get(&row.id).ok_or(Fault::Impossible("a token that was not asked for"))?;
        Ok::<i64, Fault>(rows::stored_nonce(*nonce))
    };
    let drawn = live.iter().map(|row| nonce(row)).collect::<Result<Vec<_>, _>>()?;
    let marked = sqlx::query(
        "WITH moved AS (
             UPDATE head SET seq = seq + $1, nonce = $2 RETURNING seq - $1 AS before, max_lease_ms
         ), numbered AS (
             SELECT moved.before + one.number AS seq, one.nonce, one.id, one.digest, moved.max_lease_ms
             FROM moved, unnest($3::bigint[], $4::bigint[], $5::bytea[])
                 WITH ORDINALITY AS one (id, nonce, digest, number)
         ), logged AS (
             INSERT INTO revocation_log (seq, nonce, kind, digest, log_time)
             SELECT seq, nonce, 'revoke', digest, $6 FROM numbered ORDER BY seq
         ), marked AS (
             UPDATE token SET revoked_seq = numbered.seq, revoked_nonce = numbered.nonce
             FROM numbered WHERE token.id = numbered.id AND token.revoked_seq IS NULL
             RETURNING token.id, numbered.seq, numbered.nonce, numbered.max_lease_ms
         ), told AS (
             SELECT pg_notify('gatekey_revocations', (before + $1)::text) FROM moved
         )
         SELECT id, seq, nonce, max_lease_ms FROM marked, told",
    )
    .bind(i64::try_from(live.len()).unwrap_or(i64::MAX))
    .bind(nonce(last)?)
    .bind(live.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind(drawn)
    .bind(live.iter().map(|row| row.digest.clone()).collect::<Vec<_>>())
    .bind(at.to_date_time())
    .fetch_all(connection)
    .await?;
    if marked.len() != live.len() {
        return Err(Fault::Impossible("locked tokens that can't be marked"));
    }
    let revoked = |row: &PgRow| {
        let max_lease = rows::lease(row.try_get("max_lease_ms")?)?;
        let position = rows::position(&PositionRow::from_row(row)?)?;
        Ok((rows::token_id(row.try_get("id")?)?, Revocation { position, repeated: false, max_lease }))
    };
    marked.iter().map(revoked).collect()
}

pub(crate) async fn revoked(
    connection: &mut Statements<'_>,
    revoked_after: Seq,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<RevokedToken>, Fault> {
    let found: Vec<RevokedRow> = sqlx::query_as(
        "SELECT token.id, token.digest, token.key, token.revoked_seq AS seq, token.revoked_nonce AS nonce,
                log.log_time
         FROM token LEFT JOIN revocation_log AS log
              ON log.seq = token.revoked_seq AND log.nonce = token.revoked_nonce
         WHERE token.id > $1 AND token.revoked_seq > $2
         ORDER BY token.id LIMIT $3",
    )
    .bind(after.map_or(0, TokenId::get))
    .bind(revoked_after.get())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let token = |row: RevokedRow| {
        Ok(RevokedToken {
            id: rows::token_id(row.id)?,
            digest: rows::digest(&row.digest)?,
            key: TokenKey::from_stored(row.key),
            position: rows::position(&row.position)?,
            at: row.log_time.map(Timestamp::from_date_time),
        })
    };
    found.into_iter().map(token).collect()
}

pub(crate) async fn begin_epoch(connection: &mut Statements<'_>, epoch: u32) -> Result<EpochBegun, Fault> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query(
        "WITH before AS (SELECT epoch FROM head FOR UPDATE)
         UPDATE head SET epoch = $1 FROM before
         RETURNING head.seq, head.nonce, head.max_lease_ms, before.epoch AS before",
    )
    .bind(i64::from(epoch))
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(Fault::Impossible("no head"))?;
    let begun = EpochBegun {
        before: row.try_get("before")?,
        head: rows::position(&PositionRow::from_row(&row)?)?,
        max_lease: rows::lease(row.try_get("max_lease_ms")?)?,
    };
    commit(transaction).await?;
    Ok(begun)
}
