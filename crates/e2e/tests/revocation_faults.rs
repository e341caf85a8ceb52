//! Strict revocation under faults of all kinds at random, one by one and over each other. `faults` does the
//! same for as long as one likes.

use std::time::Duration;

use gatekey_e2e::Faults;

const FAULTS: Faults = Faults { count: 200, seed: 1, holders: 50, lease: 2, limit: Duration::from_mins(10) };

#[tokio::test(flavor = "multi_thread")]
async fn nobody_accepts_what_was_deleted_whatever_breaks() {
    let findings = FAULTS.run().await;
    println!("{findings}");
    assert!(findings.violations.is_empty(), "seed {}:\n{findings}", FAULTS.seed);
    assert_eq!(findings.faults(), FAULTS.count, "in time");
    let tally = findings.tally;
    assert!(tally.by_acks > 0 && tally.by_time > 0 && tally.cached > 0, "nothing was shown: {tally}");
}
