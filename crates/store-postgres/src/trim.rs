//! Trims the log of revocations.

use gatekey_core::{Trim, Trimmed};
use gatekey_lease::Seq;

use crate::fault::Fault;
use crate::statements::Statements;

/// The key of the advisory lock of whoever trims: "gatekey" in ASCII, and a number.
const TURN: i64 = 0x6761_7465_6b65_7901;

/// Nothing while somebody else does it.
pub(crate) async fn trim(connection: &mut Statements<'_>, trim: Trim) -> Result<Trimmed, Fault> {
    let Trim { before, keep, limit, from } = trim;
    let gone: Option<(i64, Option<i64>)> = sqlx::query_as(include_str!("sql/trim_log.sql"))
        .bind(before.to_date_time())
        .bind(i64::from(keep))
        .bind(i64::from(limit))
        .bind(from.get())
        .bind(TURN)
        .fetch_optional(connection)
        .await?;
    let (count, last) = gone.unwrap_or_default();
    Ok(Trimmed { count: count.unsigned_abs(), last: last.and_then(Seq::new) })
}
