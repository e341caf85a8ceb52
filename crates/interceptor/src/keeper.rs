//! What has to be done by the clock: tokens expire, a lost lease is lost for too long, and guarded tokens of which the
//! stream may not have told are verified anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::shared::{Shared, State};
use crate::verify::Asked;
use crate::{Ended, Refusal};

/// A stream is ended this much after its token's expiry at the most.
const TICK: Duration = Duration::from_millis(250);
/// How many guarded tokens are verified anew at the same time.
const AT_ONCE: usize = 32;

/// Until the runtime ends.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    #[cfg(feature = "metrics")]
    let mut publishes = true;
    loop {
        ticks.tick().await;
        shared.tick();
        #[cfg(feature = "metrics")]
        if publishes {
            publishes = publish(&shared);
        }
    }
}

/// Whether to go on with it. The recorder is the service's: one that panics must not end the thread that verifies.
#[cfg(feature = "metrics")]
fn publish(shared: &Shared) -> bool {
    let (stats, health) = (shared.counters.stats(), shared.health());
    let publish = std::panic::AssertUnwindSafe(|| crate::figures::publish(&stats, &health));
    let published = std::panic::catch_unwind(publish).is_ok();
    if !published {
        tracing::error!("the recorder of metrics panicked: it gets no more figures of Gatekey's");
    }
    published
}

/// While guarded tokens are verified anew. However it ends, it can begin again.
struct Reverifying(Arc<Shared>);

impl Drop for Reverifying {
    fn drop(&mut self) {
        self.0.lock_anyway().reverifying = false;
    }
}

impl Shared {
    /// Does what is due.
    pub(crate) fn tick(self: &Arc<Self>) {
        let (now, wall) = (self.clock.moment(), self.clock.wall());
        let mut state = self.lock();
        for digest in state.guards.expire(wall) {
            self.cache.remove(&mut state.index, &digest);
        }
        let until = self.lease_until();
        // A lease that nobody gave up ended by the clock.
        if now >= until {
            let (lost, grace) = (state.lose(until), self.limits.grace);
            // Until it was lost, the stream told of revocations; since then, a server may have been asked.
            if now.since(lost) > grace {
                let over = state.guards.end_unverified(|verified| now.since(lost.max(verified)) > grace);
                for digest in &over {
                    self.cache.begin_afresh(&mut state.index, digest);
                }
            }
        }
        state.negatives.tick(now);
        let State { guards, index, .. } = &mut *state;
        // The index, and a slot.
        guards.sweep(|known| if index.holds(known) { 2 } else { 0 });
        let doubtful =
            if self.is_leased() && !state.reverifying { state.guards.doubtful() } else { Vec::new() };
        if !doubtful.is_empty() {
            state.reverifying = true;
            drop(state);
            let at_it = Reverifying(Arc::clone(self));
            self.backend.spawn(async move { at_it.0.reverify(doubtful).await });
        }
    }

    /// Verifies guarded tokens anew, a few at a time. Those of which nobody can tell stay in doubt until the next tick.
    async fn reverify(self: &Arc<Self>, asked: Vec<Asked>) {
        for some in asked.chunks(AT_ONCE) {
            let mut tasks = tokio::task::JoinSet::new();
            for asked in some {
                let (shared, asked) = (Arc::clone(self), *asked);
                tasks.spawn(async move { shared.reverify_one(asked).await });
            }
            // One that panicked stays in doubt.
            while tasks.join_next().await.is_some() {}
        }
    }

    async fn reverify_one(self: &Arc<Self>, asked: Asked) {
        let verified = self.verify_guarded(asked).await;
        let mut state = self.lock();
        match verified {
            // In the cache, the stream tells of its revocation.
            Ok((known, _)) if state.index.holds(&known) => state.guards.trust(&asked.digest),
            Err(Refusal::Invalid) => state.guards.end(&[asked.digest], Ended::Revoked),
            Ok(_) | Err(_) => {}
        }
    }
}
