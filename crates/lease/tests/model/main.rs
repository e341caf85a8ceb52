//! The model of strict revocation: the machines of this crate in an abstract world, explored exhaustively.
//! Larger models are explored by `cargo run --release -p gatekey-lease --example model`.

mod mutants;
mod world;

use world::{Config, Event, explore};

const ONE: Config = Config::ONE;

/// Explores a model, and asserts that S holds and that the model does what it is for.
fn holds(config: Config, events: &[Event]) {
    let report = explore(config, 1);
    println!("{} states in {:.1?}: {:?}", report.states, report.took, report.events);
    assert_eq!(report.stale, None);
    for event in events {
        assert!(report.events.contains_key(event), "{event:?} never happens");
    }
}

#[test]
fn by_time_only() {
    let config = Config { acks: false, verifications: 1, ..ONE };
    holds(config, &[Event::HitAccepted, Event::DeletedByTime, Event::AnswerCached, Event::LeaseOver]);
}

#[test]
fn by_acknowledgements() {
    let events = [Event::HitAccepted, Event::DeletedByAcks, Event::DeletedByTime, Event::HolderDropped];
    holds(Config { verifications: 1, ..ONE }, &events);
}

#[test]
fn from_nothing() {
    let config = Config { cold: true, slow_renewals: true, streams: 2, grants: 1, horizon: 5, ..ONE };
    holds(config, &[Event::HitAccepted, Event::DeletedByAcks, Event::InvalidationSent]);
}

#[test]
fn when_streams_break() {
    let config = Config { breaks: true, streams: 1, ..ONE };
    holds(config, &[Event::HitAccepted, Event::DeletedByTime, Event::InvalidationSent]);
}

#[test]
fn when_it_is_repeated() {
    holds(Config { repeats: 1, slow_commits: true, ..ONE }, &[Event::RepeatReturned]);
}

#[test]
fn when_a_replica_crashes_and_its_row_is_removed() {
    let config = Config { crashes: 1, removal: true, horizon: 5, renewals: [1, 0], ..ONE };
    holds(config, &[Event::Restarted, Event::RowRemoved, Event::DeletedByTime, Event::DeletedByAcks]);
}

#[test]
fn with_two_replicas_that_cache() {
    let config = Config {
        replicas: 2,
        targets: 2,
        replica_caches: true,
        verifications: 1,
        renewals: [1, 0],
        grants: 0,
        horizon: 3,
        ..ONE
    };
    let events = [Event::AnswerFromReplicaCache, Event::AnswerCached, Event::AnswerKeptOut];
    holds(config, &events);
}

#[test]
fn when_history_forks() {
    let config = Config { forks: 1, others: 1, new_epoch: true, grants: 1, renewals: [1; 2], ..ONE };
    holds(config, &[Event::Forked, Event::ResetSent, Event::DeletedByAcks]);
}

#[test]
fn when_the_standby_takes_over() {
    let config =
        Config { failover: true, verifications: 1, slow_reads: true, grants: 0, renewals: [1; 2], ..ONE };
    holds(config, &[Event::Promoted, Event::ReadRefused, Event::DeletedByAcks, Event::DeletedByTime]);
}

#[test]
fn when_clocks_drift() {
    for rates in [[11, 9, 9, 9], [11, 9, 11, 11], [9, 11, 9, 9], [11, 11, 9, 9]] {
        holds(Config { rates, ..ONE }, &[Event::HitAccepted, Event::DeletedByTime]);
    }
}

#[test]
fn when_everyone_leaves_in_peace() {
    let config = Config { departures: true, streams: 1, renewals: [1; 2], grants: 1, ..ONE };
    holds(config, &[Event::Left, Event::Released, Event::DeletedByAcks]);
}

/// Waits are for clocks that are wrong by 10 % at most.
#[test]
fn thirty_percent_of_drift_is_too_much() {
    let report = explore(Config { rates: [13, 7, 7, 7], ..ONE }, 1);
    assert!(report.stale.is_some(), "survives {} states", report.states);
}
