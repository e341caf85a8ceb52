//! The rows of replicas, and the head as a replica reads it. The order of the locks is explained in
//! [`crate::revoke`]: a replica's row comes before the head.

use std::time::Duration;

use gatekey_core::{Confirmation, ReplicaRows};
use gatekey_lease::{Epoch, Head, Position, ReplicaId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::fault::Fault;
use crate::notice::commit;
use crate::rows::{self, PositionRow, Replica, ReplicaRow};
use crate::statements::Statements;
use crate::way::timeline;

/// Commits a replica's row; whether it was missing. Replicated, where there is a standby: that is what keeps an
/// old primary from renewing anyone's lease.
pub(crate) async fn commit_row(
    connection: &mut Statements<'_>,
    id: ReplicaId,
    n: u64,
    lease: Duration,
) -> Result<bool, Fault> {
    let lease = rows::stored_lease(lease);
    let mut transaction = connection.begin().await?;
    let missing = !update_row(&mut transaction, id, n, lease).await?;
    if missing {
        insert_row(&mut transaction, id, n, lease).await?;
    }
    // Locks the head only if there is something to raise, and last.
    sqlx::query("UPDATE head SET max_lease_ms = $1 WHERE max_lease_ms < $1")
        .bind(lease)
        .execute(&mut *transaction)
        .await?;
    commit(transaction).await?;
    Ok(missing)
}

/// Leaves what the row confirms as it is. False if there is no row.
async fn update_row(
    connection: &mut Statements<'_>,
    id: ReplicaId,
    n: u64,
    lease: i64,
) -> Result<bool, Fault> {
    let updated = sqlx::query("UPDATE replica SET n = $2, lease_ms = $3 WHERE id = $1")
        .bind(rows::stored_replica_id(id))
        .bind(n.cast_signed())
        .bind(lease)
        .execute(connection)
        .await?;
    Ok(updated.rows_affected() == 1)
}

/// A conflict is with the replica's own line from before, whose last words came late.
async fn insert_row(connection: &mut Statements<'_>, id: ReplicaId, n: u64, lease: i64) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO replica (id, n, lease_ms) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET n = excluded.n, lease_ms = excluded.lease_ms",
    )
    .bind(rows::stored_replica_id(id))
    .bind(n.cast_signed())
    .bind(lease)
    .execute(connection)
    .await?;
    Ok(())
}

/// The head. Its epoch is made of the database's own, which a restore changes, and of the server's timeline,
/// which a failover changes. On a standby, which has no place to write to, the statement fails.
pub(crate) async fn head(connection: &mut Statements<'_>) -> Result<Head, Fault> {
    let row = sqlx::query(
        "SELECT seq, nonce, epoch, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline FROM head",
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Fault::Impossible("no head"))?;
    Ok(Head { position: rows::position(&PositionRow::from_row(&row)?)?, epoch: read_epoch(&row)? })
}

/// The epoch, from a row with the stored one and the name of the server's timeline.
pub(crate) fn read_epoch(row: &PgRow) -> Result<Epoch, Fault> {
    let timeline = timeline(row.try_get("timeline")?).map_err(|_| Fault::Impossible("a timeline"))?;
    Ok(epoch(row.try_get("epoch")?, timeline))
}

/// The database's epoch is a count, so its upper half is free.
const fn epoch(stored: i64, timeline: u32) -> Epoch {
    Epoch(stored << 32 | timeline as i64)
}

/// One statement, and so a transaction of its own, for which alone the commit is asynchronous: nobody waits
/// for the disk or for a standby.
pub(crate) async fn confirm(
    connection: &mut Statements<'_>,
    id: ReplicaId,
    confirmation: Confirmation,
) -> Result<(), Fault> {
    let Confirmation { position, confirmed, waited_out } = confirmation;
    sqlx::query(
        "WITH confirmed AS (
             UPDATE replica SET acked_seq = $2, acked_nonce = $3, confirmed = $4, waited_out = $5
             WHERE id = $1 AND EXISTS (SELECT FROM revocation_log WHERE seq = $2 AND nonce = $3)
             RETURNING 1
         )
         SELECT set_config('synchronous_commit', 'off', true), pg_notify('gatekey_confirmations', '')
         FROM confirmed",
    )
    .bind(rows::stored_replica_id(id))
    .bind(position.seq.get())
    .bind(rows::stored_nonce(position.nonce))
    .bind(i64::from(confirmed))
    .bind(i64::from(waited_out))
    .execute(connection)
    .await?;
    Ok(())
}

/// A warning at its commit does no harm: if the row comes back after a failover, it is waited for in vain.
pub(crate) async fn remove_row(connection: &mut Statements<'_>, id: ReplicaId, n: u64) -> Result<(), Fault> {
    sqlx::query(
        "WITH gone AS (DELETE FROM replica WHERE id = $1 AND n = $2 RETURNING 1)
         SELECT pg_notify('gatekey_confirmations', '') FROM gone",
    )
    .bind(rows::stored_replica_id(id))
    .bind(n.cast_signed())
    .execute(connection)
    .await?;
    Ok(())
}

/// All rows, and which of these positions the log contains or has contained.
pub(crate) async fn rows(
    connection: &mut Statements<'_>,
    positions: Vec<Position>,
) -> Result<ReplicaRows, Fault> {
    // Without a look at the tokens: whoever locks those must not cost anybody a lease.
    let read = read_rows(connection, &positions).await?;
    let missing: Vec<Position> =
        positions.iter().filter(|asked| !read.contained.contains(asked)).copied().collect();
    if missing.is_empty() {
        return Ok(read);
    }
    // One transaction is one server, behind a pooler too: one that has lost a tombstone must not be asked for the rows. The rows
    // come last: what is told of them is from after all that they are asked about.
    let mut transaction = connection.begin().await?;
    let trimmed = trimmed(&mut transaction, &missing).await?;
    if trimmed.is_empty() {
        return Ok(read);
    }
    let mut read = read_rows(&mut transaction, &positions).await?;
    read.contained.extend(trimmed);
    Ok(read)
}

/// Which of these positions, none of which is in the log, were in it before it was trimmed.
async fn trimmed(connection: &mut Statements<'_>, missing: &[Position]) -> Result<Vec<Position>, Fault> {
    let (numbers, nonces) = stored(missing);
    let trimmed: Vec<PositionRow> = sqlx::query_as(include_str!("sql/trimmed.sql"))
        .bind(numbers)
        .bind(nonces)
        .fetch_all(connection)
        .await?;
    trimmed.iter().map(rows::position).collect()
}

fn stored(positions: &[Position]) -> (Vec<i64>, Vec<i64>) {
    positions.iter().map(|position| (position.seq.get(), rows::stored_nonce(position.nonce))).unzip()
}

async fn read_rows(connection: &mut Statements<'_>, positions: &[Position]) -> Result<ReplicaRows, Fault> {
    let (numbers, nonces) = stored(positions);
    let read: Vec<ReplicaRow> = sqlx::query_as(include_str!("sql/replica_rows.sql"))
        .bind(numbers)
        .bind(nonces)
        .fetch_all(connection)
        .await?;
    let mut rows = Vec::new();
    let mut contained = Vec::new();
    for row in &read {
        match rows::replica(row)? {
            Replica::Row(row) => rows.push(row),
            Replica::Contained(position) => contained.push(position),
        }
    }
    Ok(ReplicaRows { rows, contained })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_and_a_failover_each_change_the_epoch() {
        assert_eq!(epoch(0, 1), Epoch(1));
        assert_eq!(epoch(3, 0xffff_ffff), Epoch(0x3_ffff_ffff));
        assert_ne!(epoch(1, 1), epoch(0, 1));
    }
}
