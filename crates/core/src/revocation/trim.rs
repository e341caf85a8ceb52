//! Trims the log of revocations, which would grow for ever: its entries are for replicas and holders that come back, and
//! tombstones are kept. Every replica tries; one at a time does it.
//!
//! How old an entry is, is told by wall clocks, which may be wrong: nothing of strict revocation rests on it. The newest
//! entries stay in any case, as many as a replica remembers.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::Seq;
use tokio::time::sleep;
use tracing::{info, warn};

use super::shared::Shared;
use super::{REMEMBERED, leased};
use crate::{StoreError, Trim, Trimmed};

/// Whoever was away for longer begins anew: it gets a Reset.
const KEPT_FOR: Duration = Duration::from_hours(24);
const EVERY: Duration = Duration::from_hours(1);
/// How many entries are removed at once: deletes wait for that on SQLite.
const BATCH: u32 = 2_000;
/// Between two batches it is the turn of others.
const PAUSE: Duration = Duration::from_millis(20);

/// Trims now and every hour, for as long as the replica runs.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        // The store is there then, and the replica is not about to leave.
        leased(&shared).await;
        match trim(&shared).await {
            Ok(0) => {}
            Ok(trimmed) => info!(trimmed, "old entries of the log of revocations are removed"),
            Err(cause) => warn!(?cause, "the log of revocations can't be trimmed now"),
        }
        // Replicas that were started together need not try together.
        sleep(EVERY + jitter()).await;
    }
}

async fn trim(shared: &Shared) -> Result<u64, StoreError> {
    let before = shared.clock.now().saturating_sub(KEPT_FOR);
    let keep = u32::try_from(REMEMBERED).unwrap_or(u32::MAX);
    let mut trim = Trim { before, keep, limit: BATCH, from: Seq::GENESIS };
    let mut trimmed = 0;
    loop {
        let Trimmed { count, last } = shared.store.trim_log(trim).await?;
        trimmed += count;
        match last {
            Some(last) if count >= u64::from(BATCH) => trim.from = last.next(),
            _ => return Ok(trimmed),
        }
        sleep(PAUSE).await;
    }
}

/// Up to a tenth of the time.
fn jitter() -> Duration {
    // Without random numbers there is none, which does no harm.
    EVERY / 10 * (getrandom::u32().unwrap_or(0) >> 16) / (1 << 16)
}
