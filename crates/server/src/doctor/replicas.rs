//! The rows of replicas: which of them renew their leases, and which stand still.

use std::collections::BTreeMap;
use std::time::Duration;

use gatekey_core::LeaseStore;
use gatekey_lease::Row;
use tokio::time::{Instant, sleep};

use super::finding::Findings;
use crate::Failure;

/// No longer than this are they watched.
const LONGEST: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(100);

/// Watches the counts of renewals for a little more than a renewal's time.
pub(super) async fn look(store: &dyn LeaseStore, findings: &mut Findings) -> Result<(), Failure> {
    let failed = |findings: &mut Findings, cause: &dyn std::fmt::Display| {
        findings.fail("replicas", &format!("their rows can't be read: {cause}"))
    };
    let first = match store.replica_rows(&[]).await {
        Ok(read) => read.rows,
        Err(cause) => return failed(findings, &cause),
    };
    if first.is_empty() {
        return findings.ok("replicas", "no server has a lease now");
    }
    let lease = first.iter().map(|row| row.lease).max().unwrap_or_default();
    // A fifth of a lease is the pause between two renewals; twice that leaves room for a slow one.
    let watched = (lease * 2 / 5).min(LONGEST);
    let deadline = Instant::now() + watched;
    let mut still: BTreeMap<_, u64> = first.iter().map(|row| (row.id, row.n)).collect();
    while !still.is_empty() && Instant::now() < deadline {
        sleep(POLL).await;
        match store.replica_rows(&[]).await {
            Ok(read) => still.retain(|id, n| read.rows.iter().any(|row| row.id == *id && row.n == *n)),
            Err(cause) => return failed(findings, &cause),
        }
    }
    let alive = |row: &&Row| !still.contains_key(&row.id);
    let (moving, stale) = (first.iter().filter(alive).count(), still.len());
    let longest = format!("the longest lease is {} s", lease.as_secs());
    if stale == 0 {
        return findings.ok("replicas", &format!("{moving} servers renew their leases; {longest}"));
    }
    if watched < lease / 4 {
        let text =
            format!("{moving} servers renewed within {} s, {stale} did not; {longest}", watched.as_secs());
        return findings.ok("replicas", &text);
    }
    findings.warn(
        "replicas",
        &format!(
            "{moving} servers renew their leases, and {stale} rows stand still: of servers that crashed, or of a backup. \
             Deletes wait for each once, up to 1.25 leases; a running server removes them; {longest}"
        ),
    )
}
