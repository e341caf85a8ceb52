//! The figure that says whether a failover would keep what was acknowledged. Read apart from scrapes, so that a slow store does not
//! make them slow.

use std::time::Duration;

use gatekey_store_postgres::Replication;
use metrics::{describe_gauge, gauge};
use tokio::time::{MissedTickBehavior, interval};

use crate::store::{LateStore, OpenStore};

const NAME: &str = "gatekey_store_synchronous";
const PAUSE: Duration = Duration::from_secs(15);

/// Keeps the figure for as long as it runs, from when the store is open. SQLite has none.
pub(crate) async fn follow(store: LateStore) {
    let OpenStore::Postgres(store) = store.opened().await else { return };
    describe_gauge!(
        NAME,
        "1 if commits wait for standbys that are attached, 0 if they wait for none, -1 if fewer are attached than they \
         wait for, NaN if that can't be read or the role may not see it."
    );
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        gauge!(NAME).set(store.replication().await.map_or(f64::NAN, |replication| figure(&replication)));
    }
}

fn figure(replication: &Replication) -> f64 {
    match replication {
        Replication::Synchronous { .. } => 1.0,
        Replication::Asynchronous => 0.0,
        Replication::Unattached { .. } => -1.0,
        // There are standbys, and the role may not see whether one of them is waited for.
        Replication::Hidden { .. } => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_no_number() {
        let names = || "standby".to_owned();
        assert!(figure(&Replication::Hidden { names: names() }).is_nan());
        for (replication, expected) in [
            (Replication::Synchronous { names: names(), attached: 1 }, 1),
            (Replication::Asynchronous, 0),
            (Replication::Unattached { names: names(), attached: 0, needed: 1 }, -1),
            (Replication::Unattached { names: names(), attached: 1, needed: 2 }, -1),
        ] {
            let difference = figure(&replication) - f64::from(expected);
            assert!(difference.abs() < f64::EPSILON, "{replication:?}");
        }
    }
}
