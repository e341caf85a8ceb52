//! What comes between the steps of one check.

use gatekey_model::{PresentedToken, TokenType};

use crate::clock::before_next_wall;
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
