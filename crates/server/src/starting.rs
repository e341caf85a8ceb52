//! The start's wait for the store: it is opened as soon as it can be had, and meanwhile the log says what is waited for.
//! What is answered until then is left to `serve.rs`.

use std::time::Duration;

use gatekey_core::Revocations;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::Failure;
use crate::config::Config;
use crate::store::{self, LateStore};

/// How long after an attempt the next one comes.
const AGAIN: Duration = Duration::from_millis(500);
/// How often the log says what is waited for.
const NEWS: Duration = Duration::from_secs(10);
/// How long a start waits for the first lease once the store is open.
const FIRST_LEASE: Duration = Duration::from_secs(5);

/// Until the store is open and there is a lease. Whether there is one: a store that went away again is waited for like in
/// any outage.
pub(crate) async fn wait(
    config: &Config,
    store: &LateStore,
    revocations: &Revocations,
) -> Result<bool, Failure> {
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    let opened = loop {
        let not_open = match store::open(&config.store, store::CALL).await {
            Ok(opened) => break opened,
            Err(not_open) => not_open,
        };
        if !not_open.may_pass || begun.elapsed() >= config.life.start_timeout {
            return Err(not_open.failure);
        }
        if told.is_none_or(|told| told.elapsed() >= NEWS) {
            told = Some(Instant::now());
            let left = config.life.start_timeout.saturating_sub(begun.elapsed());
            warn!(cause = %not_open.failure, gives_up_in_s = left.as_secs(), "not ready: waits for the store");
        }
        sleep(AGAIN).await;
    };
    if told.is_some() {
        info!(seconds = begun.elapsed().as_secs(), "the store is there");
    }
    opened.report().await;
    store.open(opened);
    // Else the first verifications would be refused.
    Ok(timeout(FIRST_LEASE, revocations.leased()).await.is_ok())
}
