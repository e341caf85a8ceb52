//! A token that is deleted while a fault lasts, and then checked by everybody.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Fleet, Token};

/// How long everybody is waited for; who is slower is not forgotten, and written into the record later.
const EVERYBODY: Duration = Duration::from_millis(100);
/// A delete that fails as often is left alone: it may be in force or not.
const TRIES: usize = 20;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// So many wait for their faults.
const READY: usize = 8;
/// While a delete is under way, so many holders check its token every so often.
const WATCHERS: usize = 5;
const WATCH: Duration = Duration::from_millis(25);

/// Tokens that are ready, whatever is slow just now.
pub(super) struct Supply {
    ready: mpsc::Receiver<Token>,
    _makers: JoinSet<()>,
}

impl Supply {
    pub(super) fn of(fleet: &Arc<Fleet>) -> Self {
        let (make, ready) = mpsc::channel(READY);
        let mut makers = JoinSet::new();
        for replica in 0..fleet.replicas.len() {
            let (fleet, make) = (Arc::clone(fleet), make.clone());
            makers.spawn(async move {
                loop {
                    let Some(token) = prepare(&fleet, replica).await else { continue };
                    if make.send(token).await.is_err() {
                        return;
                    }
                }
            });
        }
        Self { ready, _makers: makers }
    }

    /// The next, if there is one soon.
    pub(super) async fn next(&mut self) -> Option<Token> {
        timeout(EVERYBODY, self.ready.recv()).await.ok().flatten()
    }
}

/// A new token, in the cache of everybody who can be reached.
async fn prepare(fleet: &Arc<Fleet>, replica: usize) -> Option<Token> {
    let token = fleet.create(replica).await?;
    fleet.check_everywhere(&token, EVERYBODY).await;
    Some(token)
}

/// Deletes it after a while, repeating that at one replica after the other; others check it all the time.
pub(super) async fn delete(fleet: &Arc<Fleet>, token: &Token, replica: usize, after: Duration) {
    tokio::select! {
        () = repeat(fleet, token, replica, after) => {}
        () = watch(fleet, token) => {}
    }
    fleet.check_everywhere(token, EVERYBODY).await;
}

async fn repeat(fleet: &Fleet, token: &Token, replica: usize, after: Duration) {
    sleep(after).await;
    let within = fleet.wait() + Duration::from_secs(1);
    for number in replica..replica + TRIES {
        if fleet.delete(number % fleet.replicas.len(), token, within).await.is_ok() {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn watch(fleet: &Arc<Fleet>, token: &Token) {
    let mut random = Rng::new();
    loop {
        for _ in 0..WATCHERS {
            drop(fleet.check(random.usize(..fleet.holders.len()), token));
        }
        sleep(WATCH).await;
    }
}

/// Deletes one whose caller goes away after a while and repeats it elsewhere.
pub(super) async fn deserted(fleet: &Arc<Fleet>, token: &Token, after: Duration) {
    let within = fleet.wait() + Duration::from_secs(1);
    // Dropped at its time, the call is cancelled.
    timeout(after, fleet.delete(0, token, within)).await.ok();
    delete(fleet, token, 1, Duration::ZERO).await;
}
