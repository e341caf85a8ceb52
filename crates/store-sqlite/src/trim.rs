//! Trims the log of revocations.

use gatekey_model::Timestamp;
use sqlx::SqliteConnection;

use crate::bounded::Ending;
use crate::fault::Fault;

pub(crate) async fn trim(
    connection: &mut SqliteConnection,
    before: Timestamp,
    keep: u32,
    limit: u32,
) -> Result<Ending<u64>, Fault> {
    let gone = sqlx::query(include_str!("sql/trim_log.sql"))
        .bind(before.unix_micros())
        .bind(i64::from(keep))
        .bind(i64::from(limit))
        .execute(connection)
        .await?;
    Ok(Ending::Commit(gone.rows_affected()))
}
