//! Every rule is needed: without it some fleet accepts a deleted token, and with it the same fleets do not.

use gatekey_lease::Rule;
use gatekey_simulation::history::Violation;
use gatekey_simulation::{MUTANTS, Mutant, Options, simulate};

/// One of so many seeds has to show that a rule is missing.
const SEEDS: u64 = 300;

/// So many seeds have to break nothing with the rule kept.
const KEPT: u64 = 30;

fn is_needed(mutant: Mutant) {
    assert!(MUTANTS.contains(&mutant));
    let kept = Options { focus: Some(mutant), ..Options::default() };
    let missing = Options { without: true, ..kept };
    for seed in 0..KEPT {
        assert_eq!(simulate(seed, &kept).report.violations, [], "{}: seed {seed}", mutant.name());
    }
    let shows = |seed: &u64| {
        let violations = simulate(*seed, &missing).report.violations;
        violations.iter().any(|violation| matches!(violation, Violation::StaleAccept { .. }))
    };
    let found = (0..SEEDS).find(shows);
    println!("without {}: a stale accept with seed {found:?}", mutant.name());
    assert!(found.is_some(), "{} is not missed in {SEEDS} seeds", mutant.name());
}

macro_rules! mutants {
    ($($name:ident: $mutant:expr;)*) => {
        $(#[test]
        fn $name() {
            is_needed($mutant);
        })*

        #[test]
        fn all_are_tried() {
            assert_eq!(MUTANTS, [$($mutant),*]);
        }
    };
}

mutants! {
    grant_timed_from_receipt: Mutant::Machine(Rule::GrantFromSending);
    row_after_head: Mutant::Machine(Rule::RowBeforeHead);
    at_once_ok_on_a_repeat: Mutant::Machine(Rule::RepeatsWait);
    follower_takes_the_result: Mutant::Machine(Rule::FollowersLookAgain);
    insert_without_as_of: Mutant::Machine(Rule::AsOfContainsStart);
    insert_though_tainted: Mutant::Machine(Rule::TaintedStaysOut);
    ttl_longer_than_the_lease: Mutant::Machine(Rule::TtlWithinLease);
    ack_before_sessions: Mutant::Machine(Rule::SessionsFirst);
    removal_ignores_renewals: Mutant::Machine(Rule::RowStoodStill);
    verify_without_a_lease: Mutant::Machine(Rule::VerifyUnderLease);
    wait_of_one_lease_under_drift: Mutant::Machine(Rule::WaitMargin);
    wait_from_before_the_commit: Mutant::Machine(Rule::WaitFromCommit);
    no_delta: Mutant::Machine(Rule::DeltaOnReturn);
    session_ended_by_a_broken_stream: Mutant::Machine(Rule::BrokenStreamCounts);
    bare_seq_in_hello: Mutant::Machine(Rule::HelloByPosition);
    bare_seq_in_ack: Mutant::Machine(Rule::AckByPosition);
    bare_seq_in_as_of: Mutant::Machine(Rule::AsOfByPosition);
    reset_that_does_not_taint: Mutant::Machine(Rule::ResetTaints);
    pushed_grants: Mutant::Machine(Rule::GrantsAnswer);
    ack_while_the_wait_runs: Mutant::Machine(Rule::WaitUntilRuns);
    nonce_not_compared: Mutant::Machine(Rule::NonceCompared);
    row_tells_a_shorter_lease: Mutant::Machine(Rule::RowTellsLease);
    delayed_hello_replaces_a_later_stream: Mutant::Machine(Rule::NewerStreamReplaces);
    lease_outlives_its_stream: Mutant::Machine(Rule::HelloEndsLease);
    read_through_an_old_connection: Mutant::Machine(Rule::ReadContainsApplied);
    reset_keeps_the_lease: Mutant::Machine(Rule::ResetEndsLease);
    row_and_head_in_one_snapshot: Mutant::OneSnapshot;
    two_queues: Mutant::TwoQueues;
    wall_clock: Mutant::WallClock;
    renewal_not_replicated: Mutant::RenewalNotReplicated;
    replica_id_reused: Mutant::IdReused;
    two_reads: Mutant::TwoReads;
    repeat_that_only_reads: Mutant::RepeatReadsOnly;
}
