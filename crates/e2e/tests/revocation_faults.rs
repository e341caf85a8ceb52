//! Strict revocation under faults of all kinds at random, one by one and over each other. `faults` does the
//! same for as long as one likes.

use std::time::Duration;

use gatekey_e2e::{Faults, Way, by_every_way};

by_every_way! { nobody_accepts_what_was_deleted_whatever_breaks }

async fn nobody_accepts_what_was_deleted_whatever_breaks(way: Way) {
    // A pooler changes the way to the store and not the protocol: what it adds is found sooner.
    let (count, holders) = if way == Way::Direct { (200, 50) } else { (40, 12) };
    let faults = Faults { count, seed: 1, holders, lease: 2, limit: Duration::from_mins(10), way };
    let findings = faults.run().await;
    println!("{findings}");
    assert!(findings.violations.is_empty(), "seed {}:\n{findings}", faults.seed);
    assert_eq!(findings.faults(), faults.count, "in time");
    let tally = findings.tally;
    // A few faults may come to deletes of one kind only; both were shown before they began.
    let kinds =
        if way == Way::Direct { tally.by_acks.min(tally.by_time) } else { tally.by_acks + tally.by_time };
    assert!(kinds > 0 && tally.cached > 0, "nothing was shown: {tally}");
}
