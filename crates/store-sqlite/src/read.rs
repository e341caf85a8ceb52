//! Reads: each is one statement, so each sees one moment.

use gatekey_core::{ListCursor, LogEntry, Snapshot, StoredToken};
use gatekey_lease::{Entry, Epoch, Head, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest};
use sqlx::{FromRow, Row, SqliteConnection};

use crate::fault::Fault;
use crate::rows::{self, LogRow, PositionRow, TokenRow};

pub(crate) async fn find_by_digest(
    connection: &mut SqliteConnection,
    digest: TokenDigest,
    holder: Option<Position>,
) -> Result<Snapshot, Fault> {
    let row = sqlx::query(include_str!("sql/find_by_digest.sql"))
        .bind(digest.as_bytes().to_vec())
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
        epoch: Epoch(row.try_get("epoch")?),
        contains_holder: row.try_get("contains_holder")?,
    })
}

pub(crate) async fn list_tokens(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    after: Option<ListCursor>,
    limit: u32,
) -> Result<Vec<Token>, Fault> {
    // Without a cursor the list begins after the latest moment that there is.
    let (created, id) = after.map_or((i64::MAX, 0), |after| (after.created.unix_micros(), after.id.get()));
    let rows: Vec<TokenRow> = sqlx::query_as(include_str!("sql/list_tokens.sql"))
        .bind(tenant.as_str())
        .bind(created)
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(rows::token).collect()
}

pub(crate) async fn head(connection: &mut SqliteConnection) -> Result<Position, Fault> {
    let row: Option<PositionRow> =
        sqlx::query_as("SELECT seq, nonce FROM head").fetch_optional(connection).await?;
    rows::position(&row.ok_or(Fault::Impossible("no head"))?)
}

pub(crate) async fn entries_from(
    connection: &mut SqliteConnection,
    from: Seq,
    limit: u32,
) -> Result<Vec<LogEntry>, Fault> {
    log_rows(connection, from, limit).await?.iter().map(rows::log_entry).collect()
}

/// The head, as a replica reads it.
pub(crate) async fn lease_head(connection: &mut SqliteConnection) -> Result<Head, Fault> {
    let row = sqlx::query("SELECT seq, nonce, epoch FROM head").fetch_optional(connection).await?;
    let row = row.ok_or(Fault::Impossible("no head"))?;
    let position = rows::position(&PositionRow::from_row(&row)?)?;
    Ok(Head { position, epoch: Epoch(row.try_get("epoch")?) })
}

/// The entries, as a replica reads them.
pub(crate) async fn lease_entries_from(
    connection: &mut SqliteConnection,
    from: Seq,
    limit: u32,
) -> Result<Vec<Entry>, Fault> {
    log_rows(connection, from, limit).await?.iter().map(rows::entry).collect()
}

async fn log_rows(connection: &mut SqliteConnection, from: Seq, limit: u32) -> Result<Vec<LogRow>, Fault> {
    let rows =
        sqlx::query_as("SELECT seq, nonce, digest FROM revocation_log WHERE seq >= ?1 ORDER BY seq LIMIT ?2")
            .bind(from.get())
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await?;
    Ok(rows)
}
