//! A fleet's everyday: tokens are created, checked by everybody, and deleted, all at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Fleet, Token};

/// So many live tokens are kept by each worker.
const KEPT: usize = 8;
/// After each of its rounds, a worker rests for up to so many milliseconds.
const REST: u64 = 60;

/// Load on a fleet, until it is stopped.
pub struct Load {
    workers: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts so many workers.
    #[must_use]
    pub fn start(fleet: &Arc<Fleet>, workers: usize, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut random = Rng::with_seed(seed);
        let mut running = JoinSet::new();
        for _ in 0..workers {
            running.spawn(work(Arc::clone(fleet), random.fork(), Arc::clone(&stop)));
        }
        Self { workers: running, stop }
    }

    /// Stops it, and waits for its calls.
    ///
    /// # Panics
    /// If a worker did.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(worker) = self.workers.join_next().await {
            worker.expect("no worker panics");
        }
    }
}

async fn work(fleet: Arc<Fleet>, mut random: Rng, stop: Arc<AtomicBool>) {
    let mut live: Vec<Token> = Vec::new();
    // What is not deleted in time is over for its caller, who goes on.
    let within = fleet.wait() + Duration::from_secs(1);
    while !stop.load(Ordering::SeqCst) {
        if let Some(token) = fleet.create(random.usize(..fleet.replicas.len())).await {
            live.push(token);
        }
        for token in &live {
            let holder = random.usize(..fleet.holders.len());
            drop(fleet.check(holder, token));
            drop(fleet.verify(random.usize(..fleet.replicas.len()), token));
        }
        if live.len() > KEPT || (!live.is_empty() && random.u8(..4) == 0) {
            let token = live.swap_remove(random.usize(..live.len()));
            let replica = random.usize(..fleet.replicas.len());
            if fleet.delete(replica, &token, within).await.is_ok() {
                fleet.check_everywhere(&token, fleet.lease / 20).await;
            }
        }
        sleep(Duration::from_millis(random.u64(..REST))).await;
    }
}
