//! Trims the log of revocations.

use gatekey_core::{Trim, Trimmed};
use gatekey_lease::Seq;
use sqlx::SqliteConnection;

use crate::bounded::Ending;
use crate::fault::Fault;

pub(crate) async fn trim(connection: &mut SqliteConnection, trim: Trim) -> Result<Ending<Trimmed>, Fault> {
    let Trim { before, keep, limit, from } = trim;
    let gone: Vec<i64> = sqlx::query_scalar(include_str!("sql/trim_log.sql"))
        .bind(before.unix_micros())
        .bind(i64::from(keep))
        .bind(i64::from(limit))
        .bind(from.get())
        .fetch_all(connection)
        .await?;
    let last = gone.iter().copied().max().and_then(Seq::new);
    Ok(Ending::Commit(Trimmed { count: gone.len() as u64, last }))
}
