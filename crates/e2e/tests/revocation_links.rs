//! Strict revocation while links are cut, stalled both ways and one way, and slow.

use std::time::Duration;

use gatekey_e2e::{FleetStart, Link, Load};
use tokio::time::sleep;

const WORKERS: usize = 12;
const SLOW: Link = Link::slow(Duration::from_millis(10));
/// What keeps a confirmation from arriving.
const BROKEN: [Link; 4] = [Link::CUT, Link::STALLED, Link::DEAF, Link::MUTE];

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_loses_its_replicas() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 1);
    for (number, link) in BROKEN.into_iter().enumerate() {
        let token = fleet.warm_token().await;
        fleet.holders[number].set_links(link);
        let receipt = fleet.delete_for_sure(number % fleet.replicas.len(), &token).await;
        assert!(receipt.leases_waited_out >= 1, "{link:?}: {receipt:?}");
        fleet.nobody_accepts(&token).await;
        fleet.holders[number].set_links(Link::WHOLE);
    }
    load.stop().await;
    fleet.judge().await;
}

/// It can't be told then that a token is gone: its streams end once it is back. Those of all others end without that.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_with_open_streams_loses_its_replicas() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 7);
    for (number, link) in BROKEN.into_iter().enumerate() {
        let replica = number % fleet.replicas.len();
        let mut streams = fleet.open_streams(replica).await;
        fleet.holders[number].set_links(link);
        let receipt = fleet.delete_for_sure(replica, &streams.token).await;
        assert!(receipt.leases_waited_out >= 1, "{link:?}: {receipt:?}");
        streams.have_ended(|holder| holder != number).await;
        fleet.holders[number].set_links(Link::WHOLE);
        streams.have_ended(|holder| holder == number).await;
    }
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_loses_its_holders() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 2);
    for (number, link) in BROKEN.into_iter().enumerate() {
        let cut_off = number % fleet.replicas.len();
        let token = fleet.warm_token().await;
        for holder in &fleet.holders {
            holder.links[cut_off].set(link);
        }
        fleet.delete_for_sure(cut_off, &token).await;
        fleet.nobody_accepts(&token).await;
        // They find another.
        let token = fleet.warm_token().await;
        fleet.delete_for_sure(cut_off, &token).await;
        fleet.nobody_accepts(&token).await;
        for holder in &fleet.holders {
            holder.links[cut_off].heal();
        }
    }
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_loses_its_store() {
    let fleet = FleetStart::default().start().await;
    for (number, link) in BROKEN.into_iter().enumerate() {
        let cut_off = number % fleet.replicas.len();
        let another = (cut_off + 1) % fleet.replicas.len();
        let token = fleet.warm_token().await;
        fleet.replicas[cut_off].store.set(link);
        let receipt = fleet.delete_for_sure(another, &token).await;
        assert!(receipt.leases_waited_out >= 1, "{link:?}: {receipt:?}");
        fleet.nobody_accepts(&token).await;
        // Its holders find another.
        let token = fleet.warm_token().await;
        fleet.delete_for_sure(another, &token).await;
        fleet.nobody_accepts(&token).await;
        fleet.replicas[cut_off].store.heal();
    }
    fleet.judge().await;
}

/// A transaction of its own may be open then, and hold its locks until Postgres ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_loses_its_store_in_mid_transaction() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 3);
    for (number, link) in BROKEN.into_iter().enumerate() {
        let cut_off = number % fleet.replicas.len();
        let token = fleet.warm_token().await;
        fleet.replicas[cut_off].store.set(link);
        fleet.delete_in_the_end(cut_off + 1, &token).await;
        fleet.nobody_accepts(&token).await;
        fleet.replicas[cut_off].store.heal();
    }
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_loses_the_store() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 4);
    for link in BROKEN {
        let token = fleet.warm_token().await;
        for replica in &fleet.replicas {
            replica.store.set(link);
        }
        // It may be deleted or not; nobody is told that it is.
        let no_lease_lives = sleep(fleet.wait());
        assert!(fleet.delete(0, &token, fleet.wait()).await.is_err(), "{link:?}");
        no_lease_lives.await;
        let everywhere = fleet.check_everywhere(&token, fleet.lease).await;
        assert_eq!(everywhere.accepted, 0, "{link:?}: {everywhere:?}");
        fleet.heal();
        fleet.recovers().await;
        fleet.delete_in_the_end(1, &token).await;
        fleet.nobody_accepts(&token).await;
    }
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_loses_its_replica() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 5);
    for (number, link) in BROKEN.into_iter().enumerate() {
        let cut_off = number % fleet.replicas.len();
        let token = fleet.warm_token().await;
        fleet.replicas[cut_off].callers.set(link);
        let within = fleet.wait() + Duration::from_secs(1);
        assert!(fleet.delete(cut_off, &token, within).await.is_err(), "{link:?}");
        fleet.delete_for_sure((cut_off + 1) % fleet.replicas.len(), &token).await;
        fleet.nobody_accepts(&token).await;
        fleet.replicas[cut_off].callers.heal();
    }
    load.stop().await;
    fleet.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_is_slow() {
    let fleet = FleetStart::default().start().await;
    let load = Load::start(&fleet, WORKERS, 6);
    for replica in &fleet.replicas {
        replica.store.set(SLOW);
        replica.callers.set(SLOW);
    }
    for holder in &fleet.holders {
        holder.set_links(SLOW);
    }
    for replica in 0..fleet.replicas.len() {
        let token = fleet.warm_token().await;
        fleet.delete_for_sure(replica, &token).await;
        fleet.nobody_accepts(&token).await;
    }
    load.stop().await;
    fleet.judge().await;
}
