//! Fleets under every kind of fault keep the promises; a seed's history is always the same; and the checker
//! notices clocks that are worse than what the protocol is made for.

use gatekey_lease::Rule;
use gatekey_simulation::history::{Totals, Violation};
use gatekey_simulation::{COUNTS, Count, Counts, Mutant, Options, simulate};

#[test]
fn every_fault_happens_and_no_promise_is_broken() {
    let options = Options::default();
    let mut counts = Counts::default();
    let mut totals = Totals::default();
    for seed in 0..1000 {
        let outcome = simulate(seed, &options);
        assert_eq!(outcome.report.violations, [], "seed {seed}");
        counts.add(&outcome.counts);
        totals.add(&outcome.report.totals);
    }
    println!("{counts}{totals:?}");
    for count in COUNTS {
        // Clocks are only set back where the rule against it is in focus.
        assert_eq!(counts.of(*count) == 0, *count == Count::SetBack, "{}", count.text());
    }
    assert!(totals.races > 100_000, "{totals:?}");
    assert!(totals.probes > 10_000, "{totals:?}");
}

#[test]
fn where_nothing_goes_wrong_deletes_are_acknowledged_and_nobody_waits() {
    let options = Options { quiet: true, ..Options::default() };
    let mut counts = Counts::default();
    for seed in 0..100 {
        let outcome = simulate(seed, &options);
        assert_eq!(outcome.report.violations, [], "seed {seed}");
        counts.add(&outcome.counts);
    }
    assert_eq!(counts.of(Count::DeletedByTime), 0);
    assert_eq!(counts.of(Count::DeleteLost), 0);
    assert!(counts.of(Count::DeletedByAcks) > 1000, "{counts}");
}

#[test]
fn equal_seeds_have_equal_histories() {
    let options = Options::default();
    let mut hashes = Vec::new();
    for seed in 0..50 {
        let outcome = simulate(seed, &options);
        assert_eq!(outcome, simulate(seed, &options), "seed {seed}");
        hashes.push(outcome.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 50);
}

/// How many of these seeds have a stale accept.
fn stale(seeds: u64, options: &Options) -> usize {
    let broken = |seed: &u64| {
        let violations = simulate(*seed, options).report.violations;
        violations.iter().any(|violation| matches!(violation, Violation::StaleAccept { .. }))
    };
    (0..seeds).filter(broken).count()
}

#[test]
fn clocks_that_are_30_percent_off_break_the_promise_and_are_noticed() {
    let worse = Options { drift: 30, ..Options::default() };
    assert!(stale(300, &worse) > 0);
}

/// A known limit: while an old primary lives on after a failover, a replica that still reads it takes a newer
/// token for unknown, for up to one lease.
#[test]
fn an_old_primary_s_unknown_can_be_a_false_reject() {
    let options = Options { unknowns: true, ..Options::default() };
    let violations: Vec<Violation> =
        (0..300).flat_map(|seed| simulate(seed, &options).report.violations).collect();
    assert!(!violations.is_empty());
    for violation in violations {
        assert!(matches!(violation, Violation::FalseReject { .. }), "{violation}");
    }
}

/// The seeds that found out that a Reset has to end the lease: a replica that reads the log in parts after a fork
/// moved holders back behind what was confirmed.
#[test]
fn a_holder_that_is_moved_back_has_no_lease() {
    let focus = Some(Mutant::Machine(Rule::AsOfByPosition));
    let options = Options { focus, ..Options::default() };
    for seed in [531, 675, 2260, 2803] {
        assert_eq!(simulate(seed, &options).report.violations, [], "seed {seed}");
    }
}
