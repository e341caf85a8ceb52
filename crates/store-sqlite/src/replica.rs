//! The rows of replicas: what the file has of them, and what this process has in memory of its own.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

use gatekey_core::ReplicaRows;
use gatekey_lease::{Position, ReplicaId, Row, RowAck};
use sqlx::{FromRow, SqliteConnection};

use crate::bounded::Ending;
use crate::fault::Fault;
use crate::replicas::{Removal, Replicas};
use crate::rows::{self, PositionRow};

/// A replica's row; without an id, a position that was asked about and that the log contains or contained.
#[derive(FromRow)]
struct ReplicaRow {
    id: Option<Vec<u8>>,
    n: Option<i64>,
    lease_ms: Option<i64>,
    seq: Option<i64>,
    nonce: Option<i64>,
}

/// Writes a replica's row. Whether it was missing, in the file or here: one that is not here confirms nothing.
pub(crate) async fn write_row(
    connection: &mut SqliteConnection,
    replicas: Replicas,
    id: ReplicaId,
    n: u64,
    lease: Duration,
) -> Result<Ending<bool>, Fault> {
    let lease = rows::stored_lease(lease);
    let updated = sqlx::query("UPDATE replica SET n = ?2, lease_ms = ?3 WHERE id = ?1")
        .bind(rows::stored_replica_id(id))
        .bind(n.cast_signed())
        .bind(lease)
        .execute(&mut *connection)
        .await?;
    let missing = updated.rows_affected() == 0;
    if missing {
        sqlx::query("INSERT INTO replica (id, n, lease_ms) VALUES (?1, ?2, ?3)")
            .bind(rows::stored_replica_id(id))
            .bind(n.cast_signed())
            .bind(lease)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("UPDATE head SET max_lease_ms = ?1 WHERE max_lease_ms < ?1")
        .bind(lease)
        .execute(connection)
        .await?;
    Ok(Ending::Commit(missing || !replicas.has(id)))
}

/// Removes a row, if it still has this count; whether it had.
pub(crate) async fn remove_row(
    connection: &mut SqliteConnection,
    replicas: Replicas,
    id: ReplicaId,
    n: u64,
) -> Result<Ending<bool>, Fault> {
    // A replica of this process leaves before its row goes: should it renew its lease meanwhile, it waits for
    // the writer, and writes its row anew. If the removal fails, the same happens.
    let count = match replicas.leave(id, n) {
        Removal::Refused => return Ok(Ending::RollBack(false)),
        Removal::Left => None,
        Removal::Unknown => Some(n.cast_signed()),
    };
    let removed = sqlx::query("DELETE FROM replica WHERE id = ?1 AND n = coalesce(?2, n)")
        .bind(rows::stored_replica_id(id))
        .bind(count)
        .execute(connection)
        .await?;
    Ok(Ending::Commit(removed.rows_affected() > 0))
}

/// Whether the log contains this very entry.
pub(crate) async fn contains(connection: &mut SqliteConnection, position: Position) -> Result<bool, Fault> {
    let contains =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM revocation_log WHERE seq = ?1 AND nonce = ?2)")
            .bind(position.seq.get())
            .bind(rows::stored_nonce(position.nonce))
            .fetch_one(connection)
            .await?;
    Ok(contains)
}

pub(crate) async fn rows(
    connection: &mut SqliteConnection,
    replicas: Replicas,
    positions: Vec<Position>,
) -> Result<ReplicaRows, Fault> {
    // Before the file is read: whatever is confirmed after this rings.
    let live = replicas.all();
    let confirmed = live.values().filter_map(|live| live.confirmation).map(|confirmed| confirmed.position);
    let asked = json(positions.iter().copied().chain(confirmed));
    let read: Vec<ReplicaRow> =
        sqlx::query_as(include_str!("sql/replica_rows.sql")).bind(asked).fetch_all(connection).await?;
    let mut rows = Vec::new();
    let mut log = HashSet::new();
    for row in &read {
        match (&row.id, row.n, row.lease_ms, row.seq, row.nonce) {
            (Some(id), Some(n), Some(lease), ..) => {
                let (id, lease) = (rows::replica_id(id)?, rows::lease(lease)?);
                rows.push(Row { id, n: n.cast_unsigned(), lease, ack: None });
            }
            (None, .., Some(seq), Some(nonce)) => {
                log.insert(rows::position(&PositionRow { seq, nonce })?);
            }
            _ => return Err(Fault::Impossible("a replica's row")),
        }
    }
    for row in &mut rows {
        let Some(live) = live.get(&row.id) else { continue };
        row.n = live.n;
        row.ack = live.confirmation.map(|confirmed| RowAck {
            position: confirmed.position,
            in_log: log.contains(&confirmed.position),
            confirmed: confirmed.confirmed,
            waited_out: confirmed.waited_out,
        });
    }
    let contained = positions.into_iter().filter(|position| log.contains(position)).collect();
    Ok(ReplicaRows { rows, contained })
}

/// `[[number, nonce], …]`: SQLite takes no lists.
fn json(positions: impl Iterator<Item = Position>) -> String {
    let mut json = "[".to_owned();
    for position in positions {
        let comma = if json.len() > 1 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(json, "{comma}[{},{}]", position.seq.get(), rows::stored_nonce(position.nonce));
    }
    json.push(']');
    json
}
