//! What comes between the steps of one check.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatekey_model::{PresentedToken, TokenType};

use crate::clock::before_next_wall;
use crate::listening::Listening;
use crate::{Ended, Event, FakeGatekey, Rule};

/// The holder gave its lease up and said Hello, so that the delete did not wait for it. What it missed and a new lease come
/// while a check is between its look into the cache and its end.
#[tokio::test]
async fn a_lease_that_comes_in_mid_check_does_not_cover_what_was_read_before_it() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let value = fake.token(TokenType::Batch).mint();
    gatekey.verify(&value, Rule::Batch).await.expect("good, and cached from now on");
    let presented = PresentedToken::parse(&value).expect("a value");
    assert!(gatekey.shared().cached(&presented).is_ok());

    fake.outage(true);
    fake.revoke(&value);
    let reconnected = fake.clone();
    before_next_wall(move || reconnected.outage(false));
    assert!(gatekey.shared().cached(&presented).is_err(), "accepted after its delete");
    assert!(gatekey.shared().is_leased(), "the lease came meanwhile");
}

/// What the service's own code does when it hears of something is not done under the lock.
#[tokio::test]
async fn who_listens_may_ask_how_it_stands() {
    let fake = FakeGatekey::start();
    let asked = Arc::new(AtomicUsize::new(0));
    let (listener, asking) = (fake.gatekey(), Arc::clone(&asked));
    let (done, over) = std::sync::mpsc::channel();
    // Not on this thread: what waits for its own lock waits for ever.
    std::thread::spawn(move || {
        let listening = Listening(move || {
            assert!(listener.health().guarded_tokens == 0);
            asking.fetch_add(1, Ordering::SeqCst);
        });
        tracing::subscriber::with_default(listening, || {
            fake.outage(true);
            fake.gatekey().shared().trouble("something");
            fake.outage(false);
        });
        done.send(()).ok();
    });
    over.recv_timeout(Duration::from_mins(1)).expect("in time");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

/// Somebody who listens and panics may do so on the thread that keeps the lease.
#[tokio::test]
async fn who_listens_may_panic() {
    let fake = FakeGatekey::start();
    let listening = Listening(|| panic!("what listens is broken"));
    tracing::subscriber::with_default(listening, || {
        fake.outage(true);
        fake.outage(false);
    });
    assert!(fake.gatekey().health().is_leased());
}

#[tokio::test]
async fn what_comes_first_is_told_first() {
    let fake = FakeGatekey::start();
    let (gatekey, again) = (fake.gatekey(), fake.gatekey());
    let mut events = gatekey.events();
    // What happens while the first is told comes after it.
    let listening = Listening(move || again.shared().trouble("the second"));
    tracing::subscriber::with_default(listening, || gatekey.shared().trouble("the first"));
    let mut told = Vec::new();
    while let Ok(Event::Trouble { what }) = events.try_recv() {
        told.push(what.to_string());
    }
    assert_eq!(told, ["the first", "the second"]);
}

#[tokio::test]
async fn an_outage_ends_what_goes_on_and_costs_no_memory() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let value = fake.token(TokenType::Batch).mint();
    let before = gatekey.verify(&value, Rule::Batch).await.expect("good");
    let guard = tokio::spawn(before.revoked());
    while gatekey.health().guarded_tokens == 0 {
        tokio::task::yield_now().await;
    }
    fake.outage(true);
    fake.advance(Duration::from_mins(2));
    assert_eq!(guard.await.expect("no panic"), Ended::Unavailable);
    fake.outage(false);
    let after = gatekey.verify(&value, Rule::Batch).await.expect("good");
    assert!(after.is_from_cache() && after.ended().is_none());
    assert_eq!(before.ended(), Some(Ended::Unavailable), "it does not begin again");
    fake.revoke(&value);
    assert_eq!(after.ended(), Some(Ended::Revoked));
}

/// It asked once, and holds the token. That it is in the cache no more must not keep its end from it.
#[tokio::test]
async fn who_has_asked_once_is_told_for_as_long_as_it_holds_the_token() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let (value, other) = (fake.token(TokenType::Batch).mint(), fake.token(TokenType::Batch).mint());
    let token = gatekey.verify(&value, Rule::Batch).await.expect("good");
    let cached_only = gatekey.verify(&other, Rule::Batch).await.expect("good");
    for token in [&token, &cached_only] {
        assert_eq!(futures_util::FutureExt::now_or_never(token.revoked()), None);
    }
    assert_eq!(gatekey.health().guarded_tokens, 2);
    drop(cached_only);
    fake.advance(Duration::from_secs(1));
    assert_eq!(gatekey.health().guarded_tokens, 1, "nobody but the cache holds the other");
    {
        let shared = gatekey.shared();
        let mut state = shared.lock();
        shared.cache.clear(&mut state.index);
    }
    fake.advance(Duration::from_secs(1));
    fake.revoke(&value);
    assert_eq!(token.ended(), Some(Ended::Revoked));
}

#[tokio::test]
async fn a_fake_begins_anew_and_takes_its_leave_as_the_real_one_does() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let value = fake.token(TokenType::Batch).mint();
    gatekey.verify(&value, Rule::Batch).await.expect("good");
    gatekey.reset();
    tokio::time::timeout(Duration::from_mins(1), gatekey.leased()).await.expect("in time");
    assert!(!gatekey.verify(&value, Rule::Batch).await.expect("good").is_from_cache());
    assert!(gatekey.verify(&value, Rule::Batch).await.expect("good").is_from_cache());
    gatekey.shutdown().await;
    assert!(!gatekey.health().is_leased());
    assert!(!gatekey.verify(&value, Rule::Batch).await.expect("by a server").is_from_cache());
}
