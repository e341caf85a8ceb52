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
    assert!(tally.by_acks > 0 && tally.by_time > 0 && tally.cached > 0, "nothing was shown: {tally}");
    // A few faults may come to deletes of one kind only; so many have some of each themselves.
    let tally = tally.since(findings.shown);
    let enough = way != Way::Direct || (tally.by_acks > 0 && tally.by_time > 0);
    assert!(enough && tally.cached > 0, "nothing was shown by the faults: {tally}");
}
