//! Every rule is needed: without it the model finds a stale accept.

use gatekey_lease::Rule;

use crate::world::{Config, Mutant, explore};

const ONE: Config = Config::ONE;

/// Two replicas with caches of their own; the holder may ask either.
const TWO_CACHES: Config = Config {
    replicas: 2,
    targets: 2,
    replica_caches: true,
    verifications: 1,
    renewals: [0; 2],
    grants: 0,
    horizon: 2,
    ..ONE
};

/// Nobody is registered yet, and a renewal takes time.
const COLD: Config = Config { cold: true, slow_renewals: true, streams: 1, grants: 1, horizon: 4, ..ONE };

/// History may lose an entry whose commit nobody heard of.
const FORK: Config = Config { forks: 1, others: 1, horizon: 4, ..ONE };

/// A standby may take over while the old primary lives on.
const FAILOVER: Config = Config { failover: true, ..ONE };

fn is_needed(mutant: Mutant, config: Config) {
    let kept = explore(config.clone(), 1);
    println!("{mutant:?}: with it {} states in {:.1?}", kept.states, kept.took);
    assert_eq!(kept.stale, None, "{mutant:?}");
    let missing = explore(config.without(mutant), 1);
    println!("{mutant:?}: without it {} states in {:.1?}", missing.states, missing.took);
    assert!(missing.stale.is_some(), "{mutant:?} survives {} states", missing.states);
    println!("{:?}", missing.stale);
}

macro_rules! mutants {
    ($($name:ident: $mutant:expr, $config:expr;)*) => {
        $(#[test]
        fn $name() {
            is_needed($mutant, $config);
        })*
    };
}

mutants! {
    grant_timed_from_receipt: Mutant::Machine(Rule::GrantFromSending), ONE;
    row_and_head_in_one_snapshot: Mutant::OneSnapshot, COLD;
    row_after_head: Mutant::Machine(Rule::RowBeforeHead), COLD;
    two_queues: Mutant::TwoQueues, ONE;
    at_once_ok_on_a_repeat: Mutant::Machine(Rule::RepeatsWait), Config { repeats: 1, ..ONE };
    follower_takes_the_result: Mutant::Machine(Rule::FollowersLookAgain), Config { verifications: 1, ..ONE };
    insert_without_as_of: Mutant::Machine(Rule::AsOfContainsStart), TWO_CACHES;
    insert_though_tainted: Mutant::Machine(Rule::TaintedStaysOut), Config { verifications: 1, ..ONE };
    ttl_longer_than_the_lease: Mutant::Machine(Rule::TtlWithinLease),
        Config { rates: [5; 4], horizon: 6, renewals: [0; 2], grants: 1, ..ONE };
    ack_before_sessions: Mutant::Machine(Rule::SessionsFirst), ONE;
    removal_ignores_renewals: Mutant::Machine(Rule::RowStoodStill),
        Config { replicas: 2, removal: true, acks: false, polls: false, renewals: [1, 0], ..ONE };
    verify_from_cache_without_a_lease: Mutant::Machine(Rule::VerifyUnderLease),
        Config { replica_caches: true, verifications: 1, renewals: [0; 2], grants: 0, ..ONE };
    read_without_a_lease: Mutant::Machine(Rule::VerifyUnderLease),
        Config { verifications: 1, renewals: [0; 2], grants: 0, ..FAILOVER };
    wait_of_one_lease_under_drift: Mutant::Machine(Rule::WaitMargin), Config { rates: [11, 9, 9, 9], ..ONE };
    wait_from_before_the_commit: Mutant::Machine(Rule::WaitFromCommit), Config { slow_commits: true, ..ONE };
    wall_clock: Mutant::WallClock, ONE;
    renewal_not_replicated: Mutant::RenewalNotReplicated, FAILOVER;
    no_delta: Mutant::Machine(Rule::DeltaOnReturn), Config { streams: 1, ..ONE };
    session_ended_by_a_broken_stream: Mutant::Machine(Rule::BrokenStreamCounts), Config { breaks: true, ..ONE };
    replica_id_reused: Mutant::IdReused, Config { crashes: 1, ..ONE };
    bare_seq_in_hello: Mutant::Machine(Rule::HelloByPosition), Config { streams: 1, renewals: [0; 2], grants: 1, horizon: 1, ..FORK };
    bare_seq_in_ack: Mutant::Machine(Rule::AckByPosition), FORK;
    bare_seq_in_as_of: Mutant::Machine(Rule::AsOfByPosition), Config { forks: 1, others: 1, ..TWO_CACHES };
    reset_that_does_not_taint: Mutant::Machine(Rule::ResetTaints),
        Config { streams: 1, remembered: 1, verifications: 1, renewals: [0; 2], grants: 1, horizon: 2, ..ONE };
    two_reads: Mutant::TwoReads, TWO_CACHES;
    pushed_grants: Mutant::Machine(Rule::GrantsAnswer), ONE;
    ack_while_the_wait_runs: Mutant::Machine(Rule::WaitUntilRuns), ONE;
    nonce_not_compared: Mutant::Machine(Rule::NonceCompared), FORK;
    row_tells_a_shorter_lease: Mutant::Machine(Rule::RowTellsLease), Config { rates: [5; 4], ..ONE };
    delayed_hello_replaces_a_later_stream: Mutant::Machine(Rule::NewerStreamReplaces),
        Config { streams: 2, late_messages: true, renewals: [1; 2], grants: 1, horizon: 2, ..ONE };
    lease_outlives_its_stream: Mutant::Machine(Rule::HelloEndsLease), Config { streams: 1, ..ONE };
    read_through_an_old_connection: Mutant::Machine(Rule::ReadContainsApplied),
        Config { verifications: 1, renewals: [0; 2], grants: 0, ..FAILOVER };
}
