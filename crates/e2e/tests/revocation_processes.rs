//! Strict revocation while processes are killed, stopped and woken, and while callers go away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekey_e2e::{Checked, Fleet, FleetStart, HolderProcess, Load, Outcome, ROOMY, Token, reason};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::Code;

const WORKERS: usize = 12;

/// The holder with this number, which has a process of its own.
fn process(fleet: &Fleet, holder: usize) -> Arc<HolderProcess> {
    fleet.holders[holder].process().expect("a process of its own")
}

/// A check that was asked for after the delete returned.
async fn is_not_accepted(asked: JoinHandle<Option<Checked>>) {
    let checked = asked.await.expect("no panic").expect("an answer");
    assert_ne!(checked.outcome, Outcome::Accepted);
}

/// Until the store says that the token is deleted.
async fn tombstone(fleet: &Fleet, token: &Token) {
    let query = format!("SELECT revoked_seq IS NOT NULL FROM token WHERE id = {}", token.id);
    let begun = Instant::now();
    while fleet.database.rows::<(bool,)>(&query).await != [(true,)] {
        assert!(begun.elapsed() < ROOMY, "nobody deletes it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_killed() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 1);
    let token = fleet.warm_token().await;
    fleet.replicas[0].kill();
    let receipt = fleet.delete_for_sure(1, &token).await;
    assert!(receipt.leases_waited_out >= 1, "the dead can't confirm: {receipt:?}");
    fleet.nobody_accepts(&token).await;
    fleet.replicas[0].restart();
    fleet.recovers().await;
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_stopped_for_three_leases_and_woken() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 2);
    let (token, other) = (fleet.warm_token().await, fleet.warm_token().await);
    fleet.replicas[0].signal("STOP");
    let woken = sleep(3 * fleet.lease);
    let deleting = tokio::spawn({
        let (fleet, other) = (Arc::clone(&fleet), other.clone());
        async move { fleet.delete(0, &other, ROOMY).await }
    });
    // It may have been stopped in a transaction, which holds its locks until Postgres ends it.
    fleet.delete_in_the_end(1, &token).await;
    // They wait in its socket until it is woken.
    let asked: Vec<_> = (0..10).map(|_| fleet.verify(0, &token)).collect();
    fleet.nobody_accepts(&token).await;
    woken.await;
    fleet.replicas[0].signal("CONT");
    for asked in asked {
        is_not_accepted(asked).await;
    }
    // Who was woken may find that too much time has passed for its delete; then nothing is known of it.
    if deleting.await.expect("no panic").is_err() {
        fleet.delete_in_the_end(1, &other).await;
    }
    fleet.nobody_accepts(&other).await;
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_stopped_for_three_leases_and_woken() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 3);
    let token = fleet.warm_token().await;
    fleet.holders[0].signal("STOP");
    let woken = sleep(3 * fleet.lease);
    let receipt = fleet.delete_for_sure(1, &token).await;
    assert!(receipt.leases_waited_out >= 1, "who is stopped can't confirm: {receipt:?}");
    // They wait in its standard input until it is woken.
    let asked: Vec<_> = (0..10).map(|_| fleet.check(0, &token)).collect();
    woken.await;
    fleet.holders[0].signal("CONT");
    for asked in asked {
        is_not_accepted(asked).await;
    }
    fleet.nobody_accepts(&token).await;
    load.stop().await;
    fleet.judge().await;
}

/// The wait was neither too short nor for nothing: its end is when the holder's lease is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_is_woken_as_soon_as_the_delete_returns() {
    let fleet = FleetStart::default().start().await;
    for round in 0..5 {
        let token = fleet.warm_token().await;
        fleet.holders[0].signal("STOP");
        let receipt = fleet.delete_for_sure(round % fleet.replicas.len(), &token).await;
        let asked = fleet.check(0, &token);
        fleet.holders[0].signal("CONT");
        assert!(receipt.leases_waited_out >= 1, "who is stopped can't confirm: {receipt:?}");
        is_not_accepted(asked).await;
    }
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_killed() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 4);
    let token = fleet.warm_token().await;
    process(&fleet, 0).kill();
    let receipt = fleet.delete_for_sure(1, &token).await;
    // Nobody knows that it is dead: a broken stream says nothing.
    assert!(receipt.leases_waited_out >= 1, "the dead can't confirm: {receipt:?}");
    fleet.nobody_accepts(&token).await;
    for holder in [0, fleet.holders.len() - 1] {
        fleet.holders[holder].crash();
    }
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_holder_is_not_waited_for() {
    let fleet = FleetStart::default().start().await;
    let released = fleet.holders.len() - 1;
    let token = fleet.warm_token().await;
    fleet.holders[released].release().await;
    let stays: Vec<usize> = (0..released).collect();
    fleet.token_warm_at(&stays).await;
    // It could not confirm even if it wanted to.
    fleet.holders[released].set_links(gatekey_e2e::Link::STALLED);
    let receipt = fleet.delete_for_sure(1, &token).await;
    assert_eq!(receipt.leases_waited_out, 0, "{receipt:?}");
    fleet.holders[released].set_links(gatekey_e2e::Link::WHOLE);
    let checked = fleet.check(released, &token).await.expect("no panic").expect("an answer");
    assert_eq!((checked.outcome, checked.cached), (Outcome::Rejected, false));
    fleet.holders[released].crash();
    fleet.judge().await;
}

/// With a lease that is far longer than its end takes: nobody could wait for the grants that it gave.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_ends_gracefully_and_comes_back() {
    let fleet = FleetStart { lease: 60, ..FleetStart::default() }.start().await;
    let load = Load::start(&fleet, WORKERS, 5);
    let tokens = [fleet.warm_token().await, fleet.warm_token().await, fleet.warm_token().await];
    let rolling = tokio::spawn({
        let fleet = Arc::clone(&fleet);
        async move { fleet.replicas[0].roll() }
    });
    for token in &tokens {
        let receipt = fleet.delete_for_sure(1, token).await;
        assert_eq!(receipt.leases_waited_out, 0, "its holders say that they go: {receipt:?}");
        fleet.nobody_accepts(token).await;
    }
    rolling.await.expect("it came back");
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_goes_away_in_mid_wait_and_repeats_at_another_replica() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 6);
    let token = fleet.warm_token().await;
    fleet.holders[0].signal("STOP");
    let first = tokio::spawn({
        let (fleet, token) = (Arc::clone(&fleet), token.clone());
        async move { fleet.delete(1, &token, ROOMY).await }
    });
    tombstone(&fleet, &token).await;
    assert!(!first.is_finished(), "it waits");
    first.abort();
    let receipt = fleet.delete_for_sure(2, &token).await;
    let asked = fleet.check(0, &token);
    fleet.holders[0].signal("CONT");
    assert!(receipt.leases_waited_out >= 1, "a repeat waits as well: {receipt:?}");
    is_not_accepted(asked).await;
    fleet.nobody_accepts(&token).await;
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_deadline_is_kept_and_the_delete_stands() {
    let fleet = FleetStart::default().start().await;
    let token = fleet.warm_token().await;
    fleet.holders[0].signal("STOP");
    let status = fleet.delete(1, &token, Duration::from_millis(700)).await.expect_err("not in force yet");
    assert_eq!((status.code(), reason(&status).is_empty()), (Code::DeadlineExceeded, false), "{status:?}");
    tombstone(&fleet, &token).await;
    let receipt = fleet.delete_for_sure(2, &token).await;
    let asked = fleet.check(0, &token);
    fleet.holders[0].signal("CONT");
    assert!(receipt.leases_waited_out >= 1, "{receipt:?}");
    is_not_accepted(asked).await;
    fleet.judge().await;
}
