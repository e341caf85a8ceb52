//! Reads: each is one statement, so each sees one moment.

use gatekey_core::{ListCursor, LogEntry, Snapshot, StoredToken};
use gatekey_lease::{Entry, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest};
use sqlx::{FromRow, Row};

use crate::fault::Fault;
use crate::replica::read_epoch;
use crate::rows::{self, LogRow, PositionRow, TokenRow};
use crate::statements::Statements;

pub(crate) async fn find_by_digest(
    connection: &mut Statements<'_>,
    digest: TokenDigest,
    holder: Option<Position>,
) -> Result<Snapshot, Fault> {
    let row = sqlx::query(include_str!("sql/find_by_digest.sql"))
        .bind(digest.as_bytes())
        .bind(holder.map(|holder| holder.seq.get()))
        .bind(holder.map(|holder| rows::stored_nonce(holder.nonce)))
        .fetch_optional(connection)
        .await?
        .ok_or(Fault::Impossible("no head"))?;
    let mut found = None;
    if row.try_get("found")? {
        let revoked: Option<i64> = row.try_get("revoked_seq")?;
        let token = rows::token(TokenRow::from_row(&row)?)?;
        found = Some(StoredToken { token, revoked: revoked.map(rows::seq).transpose()? });
    }
    Ok(Snapshot {
        found,
        head: rows::position(&PositionRow::from_row(&row)?)?,
        epoch: read_epoch(&row)?,
        contains_holder: row.try_get("contains_holder")?,
    })
}

pub(crate) async fn list_tokens(
    connection: &mut Statements<'_>,
    tenant: TenantId,
    after: Option<ListCursor>,
    limit: u32,
) -> Result<Vec<Token>, Fault> {
    let rows: Vec<TokenRow> = sqlx::query_as(include_str!("sql/list_tokens.sql"))
        .bind(tenant.as_str())
        .bind(after.map(|after| after.created.to_date_time()))
        .bind(after.map(|after| after.id.get()))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(rows::token).collect()
}

pub(crate) async fn head(connection: &mut Statements<'_>) -> Result<Position, Fault> {
    let row: Option<PositionRow> =
        sqlx::query_as("SELECT seq, nonce FROM head").fetch_optional(connection).await?;
    rows::position(&row.ok_or(Fault::Impossible("no head"))?)
}

pub(crate) async fn entries_from(
    connection: &mut Statements<'_>,
    from: Seq,
    limit: u32,
) -> Result<Vec<LogEntry>, Fault> {
    log_rows(connection, from, limit).await?.iter().map(rows::log_entry).collect()
}

/// The same, as a replica reads it.
pub(crate) async fn lease_entries_from(
    connection: &mut Statements<'_>,
    from: Seq,
    limit: u32,
) -> Result<Vec<Entry>, Fault> {
    log_rows(connection, from, limit).await?.iter().map(rows::entry).collect()
}

async fn log_rows(connection: &mut Statements<'_>, from: Seq, limit: u32) -> Result<Vec<LogRow>, Fault> {
    let rows =
        sqlx::query_as("SELECT seq, nonce, digest FROM revocation_log WHERE seq >= $1 ORDER BY seq LIMIT $2")
            .bind(from.get())
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await?;
    Ok(rows)
}
