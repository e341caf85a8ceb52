//! Cases: callers who go away in the middle of a call.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use gatekey_lease::Seq;

use super::Fixture;
use super::samples::{act, create, list, new_token, nonce, request_id, requested, tenant};
use crate::{Insertion, NewToken};

/// Polls a future so many times, and drops it if it has not ended by then.
async fn abandon<F: Future>(future: F, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if polled.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A delete whose caller went away happens wholly or not at all, once: log, tombstone, counter and
/// audit log agree.
pub async fn a_revocation_whose_caller_went_away_is_whole(fixture: Arc<dyn Fixture>) {
    const COUNT: u8 = 40;
    let (store, acme) = (fixture.store(), tenant("acme"));
    let new = |seconds| NewToken { limit: COUNT.into(), ..new_token(&acme, seconds) };
    let mut digests = Vec::new();
    let mut tokens = Vec::new();
    for seconds in 0..COUNT {
        let new = new(seconds.into());
        digests.push(new.digest);
        tokens.push(create(&*store, new).await);
    }
    for (polls, token) in (1..).zip(&tokens) {
        let (abandoned, kept) = (nonce(), nonce());
        let act = act(&acme, 100);
        abandon(store.revoke_token(&acme, token.id, abandoned, &act), polls).await;
        let revoked =
            store.revoke_token(&acme, token.id, kept, &act).await.expect("an answer").expect("a token");
        let by = if revoked.repeated { abandoned } else { kept };
        assert_eq!(revoked.position.nonce, by);
        let found =
            store.find_by_digest(&digests[polls - 1], Some(revoked.position)).await.expect("an answer");
        assert_eq!(found.found.and_then(|found| found.revoked), Some(revoked.position.seq));
        assert!(found.contains_holder);
    }
    let log = store.entries_from(Seq::GENESIS, 1_000).await.expect("an answer");
    let mut logged: Vec<_> = log.iter().filter_map(|entry| entry.revokes).collect();
    logged.sort_unstable();
    digests.sort_unstable();
    assert_eq!(logged, digests);
    let audit = fixture.audit(&acme).await;
    let done = audit.iter().filter(|row| row.action == "delete" && row.outcome == "done").count();
    assert_eq!(done, usize::from(COUNT));
    for seconds in 0..COUNT {
        create(&*store, new(seconds.into())).await;
    }
    assert_eq!(store.insert_token(new(0)).await.expect("an answer"), Insertion::LimitReached);
}

/// A create whose caller went away leaves no second live token beside that of the repeated call.
pub async fn a_create_whose_caller_went_away_is_whole(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    for (polls, number) in (1..).zip(0..30_u8) {
        let seconds = i64::from(number);
        abandon(store.insert_token(requested(&acme, seconds, request_id(number), 1)), polls).await;
        let repeat = store.insert_token(requested(&acme, seconds, request_id(number), 1)).await;
        assert!(matches!(repeat, Ok(Insertion::Created { .. })), "{repeat:?}");
        // One that comes late replaces the repeat's token: there is one at every moment.
        assert_eq!(list(&*store, &acme).await.len(), usize::from(number) + 1);
    }
}

/// A read whose caller went away leaves nothing behind that a later read could take for its answer.
pub async fn reads_whose_callers_went_away_disturb_nobody(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut known = Vec::new();
    for seconds in 0..10 {
        let new = new_token(&acme, seconds);
        let digest = new.digest;
        known.push((digest, create(&*store, new).await));
    }
    for round in 0..300 {
        let (abandoned, _) = &known[round % 7];
        abandon(store.find_by_digest(abandoned, None), round % 9).await;
        let (digest, token) = &known[round % 10];
        let found = store.find_by_digest(digest, None).await.expect("an answer").found;
        assert_eq!(found.map(|found| found.token).as_ref(), Some(token));
    }
}
