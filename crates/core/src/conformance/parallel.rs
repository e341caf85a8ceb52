//! Case: many creates and deletes at once, and somebody who reads the log all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatekey_lease::{Position, Seq};
use gatekey_model::{Token, TokenDigest};
use tokio::task::JoinSet;

use super::Fixture;
use super::samples::{create, list, new_token, revoke, tenant};
use crate::{LogEntry, Store};

const WORKERS: usize = 16;
const TOKENS: usize = 1_000;
const TENANTS: [&str; 3] = ["acme", "initech", "umbrella"];

/// The order of commits is the order of the log: 1,000 creates and 1,000 deletes by 16 workers, and
/// each reading of the log meanwhile has no gap and begins with the reading before.
pub async fn commit_order_is_log_order(fixture: Arc<dyn Fixture>) {
    let store: Arc<dyn Store> = fixture.store();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_all_the_while(Arc::clone(&store), Arc::clone(&done)));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        workers.spawn(create_and_revoke(Arc::clone(&store), worker));
    }
    let revoked = workers.join_all().await.concat();
    done.store(true, Ordering::Release);
    let readings = reader.await.expect("no reading has a gap or a change");
    assert!(readings > 0);

    assert_eq!(revoked.len(), TOKENS);
    let log = store.entries_from(Seq::GENESIS, 10_000).await.expect("an answer");
    assert_eq!(log.len(), TOKENS + 1);
    assert_eq!(store.head().await.expect("an answer"), log[TOKENS].position);
    assert_eq!(log[TOKENS].position.seq.get(), i64::try_from(TOKENS).expect("a small number"));
    for (digest, position) in revoked {
        let at = usize::try_from(position.seq.get()).expect("a small number");
        assert_eq!(log[at], LogEntry { position, revokes: Some(digest) });
        let tombstone = store.find_by_digest(&digest, Some(position)).await.expect("an answer");
        assert_eq!(tombstone.found.and_then(|found| found.revoked), Some(position.seq));
        assert!(tombstone.contains_holder);
    }
    for name in TENANTS {
        assert_eq!(list(&*store, &tenant(name)).await, []);
    }
}

/// Creates every sixteenth token, and deletes each once the next is created.
async fn create_and_revoke(store: Arc<dyn Store>, worker: usize) -> Vec<(TokenDigest, Position)> {
    let mut revoked = Vec::new();
    let mut before: Option<(Token, TokenDigest)> = None;
    for number in (worker..TOKENS).step_by(WORKERS) {
        let new = new_token(&tenant(TENANTS[number % TENANTS.len()]), 0);
        let digest = new.digest;
        let token = create(&*store, new).await;
        if let Some((token, digest)) = before.replace((token, digest)) {
            revoked.push((digest, revoke(&*store, &token, 1).await.position));
        }
    }
    if let Some((token, digest)) = before {
        revoked.push((digest, revoke(&*store, &token, 1).await.position));
    }
    revoked
}

/// Reads the whole log again and again; says how often.
async fn read_all_the_while(store: Arc<dyn Store>, done: Arc<AtomicBool>) -> usize {
    let mut seen: Vec<LogEntry> = Vec::new();
    let mut readings = 0;
    while !done.load(Ordering::Acquire) {
        let log = store.entries_from(Seq::GENESIS, 10_000).await.expect("an answer");
        for (number, entry) in (0_i64..).zip(&log) {
            assert_eq!(entry.position.seq.get(), number, "a gap");
        }
        assert!(log.starts_with(&seen), "what was read once has changed");
        seen = log;
        readings += 1;
    }
    readings
}
