//! What comes between the steps of one check.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatekey_model::{PresentedToken, TokenType};

use crate::clock::before_next_wall;
use crate::listening::Listening;
use crate::{FakeGatekey, Rule};

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
