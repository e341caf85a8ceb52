//! A server's end, in this order: it is not ready any more, and still takes calls; it takes none and finishes what runs,
//! while its holders go elsewhere one after the other; its row leaves the store last. Each step has its time, and a second
//! signal ends them all. Who closes the store is left to `serve.rs`.

use std::time::Duration;

use gatekey_api::{Phase, Readiness};
use gatekey_core::Revocations;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::config::Life;
use crate::servers::Servers;
use crate::signals::Signals;

/// How long the row may take to leave the store once the time for calls is over.
const LEAVING: Duration = Duration::from_secs(1);

/// What is to end.
pub(crate) struct Ending {
    pub(crate) readiness: Readiness,
    pub(crate) servers: Servers,
    pub(crate) revocations: Revocations,
    pub(crate) life: Life,
    pub(crate) lease: Duration,
}

impl Ending {
    /// Takes the delay and the drain's time at the most, and returns at once at another signal.
    pub(crate) async fn run(self, signals: &mut Signals) {
        tokio::select! {
            () = self.in_order() => {}
            () = signals.first() => warn!("asked again to end: calls that run are cut off"),
        }
    }

    async fn in_order(self) {
        let Self { readiness, mut servers, revocations, life, lease } = self;
        readiness.enter(Phase::Leaving);
        if !life.shutdown_delay.is_zero() {
            info!(
                seconds = life.shutdown_delay.as_secs(),
                "shutting down: not ready, and calls are taken for a while"
            );
            sleep(life.shutdown_delay).await;
        }
        info!(seconds = life.drain_timeout.as_secs(), "shutting down: what runs may finish");
        readiness.enter(Phase::Draining);
        servers.close();
        let holders = async {
            revocations.dismiss(life.spread(lease)).await;
            // Ends the streams of those who did not go, so that the gRPC server can end.
            revocations.close_sessions();
        };
        let drained = async {
            tokio::join!(holders, servers.drained());
            // Last: until then this replica confirms what others delete.
            revocations.leave().await;
        };
        if timeout(life.drain_timeout, drained).await.is_err() {
            warn!("some calls did not finish in time and are cut off");
            // One slow client is no reason for others' deletes to wait for this replica.
            if timeout(LEAVING, revocations.leave()).await.is_err() {
                warn!("its row stays in the store: deletes wait until it was seen to stand still");
            }
        }
    }
}
