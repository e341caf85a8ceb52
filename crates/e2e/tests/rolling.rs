//! Three replicas are replaced one after the other while 50 interceptors check tokens and others create and delete them: in
//! good order, by SIGKILL, and with leases of different lengths. No check fails, nobody accepts what was deleted, and no delete
//! takes longer than the protocol's bound.

use std::sync::Arc;
use std::time::Duration;

use gatekey_e2e::{Fleet, FleetStart, Served, Traffic};
use tokio::sync::{Mutex, MutexGuard};

const REPLICAS: usize = 3;
const PROCESSES: usize = 2;
const HOLDERS: usize = 50;
/// In seconds.
const LEASE: u32 = 4;
/// What a delete may take beyond 1.25 L.
const MORE: Duration = Duration::from_secs(1);

/// Fifty services and their clients are enough for one machine.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

async fn fleet(lease: u32, leases: &[u32]) -> Arc<Fleet> {
    let start = FleetStart {
        replicas: REPLICAS,
        holders: HOLDERS - PROCESSES,
        processes: PROCESSES,
        lease,
        leases: leases.to_vec(),
        ..FleetStart::default()
    };
    start.start().await
}

/// In good order, as Kubernetes does: out of service, SIGTERM, and another in its place.
fn roll(fleet: &Fleet, traffic: &Traffic, replica: usize) {
    traffic.take_out(replica);
    fleet.replicas[replica].roll();
    traffic.put_back(replica);
}

async fn judge(fleet: &Arc<Fleet>, served: Served) {
    fleet.recovers().await;
    let totals = fleet.finish().await;
    println!("{totals:?} {served:?}");
    let violations = fleet.record.violations();
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(served.failed.is_empty(), "{:#?}", served.failed);
    assert!(served.longest <= fleet.wait() + MORE, "{served:?}");
    assert!(totals.probes > 0 && served.cached > 0, "nothing was shown");
    assert!(served.checks_meanwhile > 0 && served.deletes_meanwhile > 0, "nothing was shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_replaced_in_good_order() {
    let _alone = alone().await;
    let fleet = fleet(LEASE, &[]).await;
    let traffic = Traffic::start(&fleet, 1).await;
    for replica in 0..REPLICAS {
        roll(&fleet, &traffic, replica);
    }
    let served = traffic.stop().await;
    judge(&fleet, served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_killed_and_replaced() {
    let _alone = alone().await;
    let fleet = fleet(LEASE, &[]).await;
    let traffic = Traffic::start(&fleet, 2).await;
    for replica in 0..REPLICAS {
        let token = fleet.warm_token().await;
        traffic.take_out(replica);
        fleet.replicas[replica].kill();
        let receipt = fleet.delete_for_sure((replica + 1) % REPLICAS, &token).await;
        assert!(receipt.leases_waited_out >= 1, "the dead can't confirm: {receipt:?}");
        let elapsed: Duration = receipt.elapsed.expect("its time").try_into().expect("not negative");
        assert!(elapsed <= fleet.wait() + MORE, "{receipt:?}");
        fleet.nobody_accepts(&token).await;
        fleet.replicas[replica].restart();
        traffic.put_back(replica);
    }
    let served = traffic.stop().await;
    judge(&fleet, served).await;
}

/// As in a change of `--lease` that is half done, in either direction.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_other_leases_take_their_places() {
    let _alone = alone().await;
    let fleet = fleet(2 * LEASE, &[LEASE, 2 * LEASE, LEASE]).await;
    let traffic = Traffic::start(&fleet, 3).await;
    fleet.replicas[0].set_lease(2 * LEASE);
    roll(&fleet, &traffic, 0);
    fleet.replicas[1].set_lease(LEASE);
    roll(&fleet, &traffic, 1);
    roll(&fleet, &traffic, 2);
    let served = traffic.stop().await;
    judge(&fleet, served).await;
}
