//! Strict revocation while Postgres notifies nobody, is restarted, and loses its backends.

use std::sync::Arc;

use gatekey_e2e::{Cluster, Disturb, FleetStart, Load, ROOMY, Way, by_every_way};
use sqlx::postgres::PgListener;
use tokio::time::sleep;

const WORKERS: usize = 12;

by_every_way! {
    without_notifications_the_log_is_read_all_the_same
    postgres_is_restarted
    postgres_is_away_for_longer_than_a_lease
    every_backend_is_terminated
    a_backend_is_terminated_in_its_commit
    a_backend_s_commit_is_cancelled
}

async fn without_notifications_the_log_is_read_all_the_same(way: Way) {
    let fleet = FleetStart { way, ..FleetStart::default() }.start().await;
    let load = Load::start(&fleet, WORKERS, 1);
    fleet.suppress_notify().await;
    fleet.end_sessions().await;
    fleet.recovers().await;
    load.stop().await;

    let mut listener = PgListener::connect(&fleet.database.url).await.expect("it connects");
    listener.listen("gatekey_revocations").await.expect("it listens");
    for replica in 0..fleet.replicas.len() {
        let token = fleet.warm_token().await;
        fleet.delete_for_sure(replica, &token).await;
        fleet.nobody_accepts(&token).await;
    }
    let load = Load::start(&fleet, WORKERS, 2);
    assert_eq!(fleet.recovers().await.leases_waited_out, 0, "acks need no notification either");
    load.stop().await;
    // A notification of the test's own is the first that arrives.
    fleet.database.execute("SELECT pg_catalog.pg_notify('gatekey_revocations', 'the first')").await;
    assert_eq!(listener.recv().await.expect("one").payload(), "the first");
    drop(listener);
    fleet.judge().await;
}

async fn postgres_is_restarted(way: Way) {
    let fleet = FleetStart { own_cluster: true, way, ..FleetStart::default() }.start().await;
    let load = Load::start(&fleet, WORKERS, 3);
    // As a crash does, and in good order.
    for stop in [Cluster::stop, Cluster::stop_fast, Cluster::stop, Cluster::stop_fast] {
        let token = fleet.warm_token().await;
        let deleting = tokio::spawn({
            let (fleet, token) = (Arc::clone(&fleet), token.clone());
            async move { fleet.delete_in_the_end(1, &token).await }
        });
        fleet.restart_store_after(stop);
        deleting.await.expect("deleted in the end");
        fleet.nobody_accepts(&token).await;
    }
    load.stop().await;
    fleet.judge().await;
}

async fn postgres_is_away_for_longer_than_a_lease(way: Way) {
    let fleet = FleetStart { own_cluster: true, way, ..FleetStart::default() }.start().await;
    let token = fleet.warm_token().await;
    let cluster = fleet.cluster.as_ref().expect("its own");
    tokio::task::block_in_place(|| cluster.stop());
    sleep(fleet.lease).await;
    let everywhere = fleet.check_everywhere(&token, ROOMY / 2).await;
    assert_eq!((everywhere.accepted, everywhere.rejected), (0, 0), "nobody can tell: {everywhere:?}");
    tokio::task::block_in_place(|| cluster.resume());
    fleet.recovers().await;
    fleet.delete_for_sure(1, &token).await;
    fleet.nobody_accepts(&token).await;
    fleet.judge().await;
}

async fn every_backend_is_terminated(way: Way) {
    let fleet = FleetStart { way, ..FleetStart::default() }.start().await;
    let load = Load::start(&fleet, WORKERS, 4);
    for _ in 0..5 {
        let token = fleet.warm_token().await;
        let deleting = tokio::spawn({
            let (fleet, token) = (Arc::clone(&fleet), token.clone());
            async move { fleet.delete_in_the_end(1, &token).await }
        });
        fleet.end_sessions().await;
        deleting.await.expect("deleted in the end");
        fleet.nobody_accepts(&token).await;
    }
    load.stop().await;
    fleet.judge().await;
}

/// A COMMIT that waits for a standby is disturbed: whether it is in force nobody can say, so it is not OK.
async fn a_commit_is_disturbed(how: Disturb, way: Way) {
    let fleet = FleetStart { own_cluster: true, way, ..FleetStart::default() }.start().await;
    let token = fleet.warm_token().await;
    fleet.hold_commits().await;
    let deleting = tokio::spawn({
        let (fleet, token) = (Arc::clone(&fleet), token.clone());
        async move { fleet.delete(1, &token, ROOMY).await }
    });
    fleet.disturb_deletes(how).await;
    let answer = deleting.await.expect("no panic");
    assert!(answer.is_err(), "not OK: {answer:?}");
    fleet.release_commits().await;
    fleet.delete_for_sure(2, &token).await;
    fleet.nobody_accepts(&token).await;
    fleet.judge().await;
}

async fn a_backend_is_terminated_in_its_commit(way: Way) {
    a_commit_is_disturbed(Disturb::Terminate, way).await;
}

async fn a_backend_s_commit_is_cancelled(way: Way) {
    a_commit_is_disturbed(Disturb::Cancel, way).await;
}
