//! Trims the log of revocations.

use gatekey_model::Timestamp;

use crate::fault::Fault;
use crate::statements::Statements;

/// The key of the advisory lock of whoever trims: "gatekey" in ASCII, and a number.
const TURN: i64 = 0x6761_7465_6b65_7901;

pub(crate) async fn trim(
    connection: &mut Statements<'_>,
    before: Timestamp,
    keep: u32,
    limit: u32,
) -> Result<u64, Fault> {
    let gone: Option<i64> = sqlx::query_scalar(include_str!("sql/trim_log.sql"))
        .bind(before.to_date_time())
        .bind(i64::from(keep))
        .bind(i64::from(limit))
        .bind(TURN)
        .fetch_optional(connection)
        .await?;
    Ok(gone.map_or(0, i64::unsigned_abs))
}
