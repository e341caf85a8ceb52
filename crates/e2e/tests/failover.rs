//! Postgres fails over to its standby: what each kind of replication keeps, and that no lease and no cache outlives the
//! history that it was had in.

use std::sync::Arc;

use gatekey_e2e::{Fleet, FleetStart, Load, Outcome, ROOMY, Replicated, Way, by_every_way};
use tokio::task::block_in_place;

const WORKERS: usize = 8;

by_every_way! {
    a_synchronous_standby_takes_over
    an_asynchronous_standby_takes_over
}

async fn start(replicated: Replicated, way: Way) -> Arc<Fleet> {
    FleetStart { holders: 8, processes: 1, replicated, way, ..FleetStart::default() }.start().await
}

/// Everybody, replicas and holders.
fn all(fleet: &Fleet) -> usize {
    fleet.replicas.len() + fleet.holders.len()
}

/// Under load, the primary crashes while a delete is under way: nothing that was acknowledged is lost, and nobody
/// accepts what was deleted.
async fn a_synchronous_standby_takes_over(way: Way) {
    let fleet = start(Replicated::Synchronously, way).await;
    let load = Load::start(&fleet, WORKERS, 1);
    let token = fleet.warm_token().await;
    let deleting = tokio::spawn({
        let (fleet, token) = (Arc::clone(&fleet), token.clone());
        async move { fleet.delete_in_the_end(1, &token).await }
    });
    fleet.fail_over();
    deleting.await.expect("deleted in the end");
    fleet.nobody_accepts(&token).await;
    fleet.recovers().await;
    load.stop().await;
    assert!(history_has_forked(&fleet), "each timeline is an epoch");
    fleet.judge().await;
}

/// The standby is promoted while the primary lives, and one replica still reaches that and nothing else: its renewals
/// wait for a standby that is none any more, so its lease ends, and the delete waits for just that.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_lives_keeps_no_lease_alive() {
    let fleet = start(Replicated::Synchronously, Way::Direct).await;
    let token = fleet.warm_token().await;
    block_in_place(|| fleet.pair().1.promote());
    fleet.lead_to_standby(&[1, 2]);
    fleet.delete_in_the_end(1, &token).await;
    fleet.nobody_accepts(&token).await;
    let left_behind = fleet.verify(0, &token).await.expect("no panic").expect("an answer");
    assert_eq!(left_behind.outcome, Outcome::CannotTell, "it has no lease");

    // Life goes on without it.
    let load = Load::start(&fleet, WORKERS, 2);
    for replica in [1, 2] {
        let token = fleet.warm_token().await;
        fleet.delete_in_the_end(replica, &token).await;
        fleet.nobody_accepts(&token).await;
    }
    load.stop().await;
    fleet.lead_to_standby(&[0]);
    fleet.judge().await;
}

/// The primary's last writes are on no standby when it crashes. Nobody can know of them any more, and whatever was
/// remembered of them is forgotten: the token that was created is good for nothing, and the token that was deleted is
/// good again, which is the limit of asynchronous replication (docs/postgres.md). Deleted anew it is gone for good.
async fn an_asynchronous_standby_takes_over(way: Way) {
    let fleet = start(Replicated::Asynchronously, way).await;
    for replica in &fleet.replicas {
        assert!(replica.log().contains("a failover may lose acknowledged deletes"), "said at the start");
    }
    let (kept, deleted) = (fleet.warm_token().await, fleet.warm_token().await);
    let (primary, standby) = fleet.pair();
    primary.is_followed_by(standby).await;
    block_in_place(|| standby.stop());
    let created = fleet.warm_token().await;
    fleet.delete_for_sure(1, &deleted).await;
    fleet.nobody_accepts(&deleted).await;
    assert!(!history_has_forked(&fleet));

    for lost in [&created, &deleted] {
        fleet.record.outside(lost.id);
    }
    block_in_place(|| {
        primary.stop();
        standby.resume();
    });
    fleet.fail_over();
    // Every holder has a lease again, and so every cache has begun anew.
    fleet.recovers().await;
    assert!(history_has_forked(&fleet));
    let everywhere = fleet.check_everywhere(&created, ROOMY / 2).await;
    assert_eq!(everywhere.rejected, all(&fleet), "it was never created: {everywhere:?}");
    for live in [&kept, &deleted] {
        let everywhere = fleet.check_everywhere(live, ROOMY / 2).await;
        assert_eq!(everywhere.accepted, all(&fleet), "{everywhere:?}");
    }
    let load = Load::start(&fleet, WORKERS, 3);
    for token in [&deleted, &kept] {
        fleet.delete_in_the_end(2, token).await;
        fleet.nobody_accepts(token).await;
    }
    load.stop().await;
    fleet.judge().await;
}

/// Whether each replica has seen that it did, and has emptied its caches.
fn history_has_forked(fleet: &Fleet) -> bool {
    fleet.replicas.iter().all(|replica| replica.log().contains("history forked"))
}
