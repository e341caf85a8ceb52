//! Strict revocation in a running replica: drives the machines of `gatekey-lease` over a store and over the
//! streams of holders. When something is allowed is decided there; this has the tasks, the lock and the maps.
//!
//! Four tasks run for as long as the replica does: the line (`line.rs`: renewals, the log, confirmations), the
//! bell (`bell.rs`: wakes the line and the deletes), the reader of rows (`waits.rs`), and the trimmer of the log (`trim.rs`).
//! Each delete that waits is its call's.

mod answers;
mod bell;
mod dismissal;
mod line;
mod session;
mod shared;
mod status;
mod trim;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Moment, Negatives, Position, Receipt, Replica, ReplicaConfig, ReplicaId, Rules};
use gatekey_model::TokenDigest;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Clock, Error, Revocation, Store, StoreError};

pub(crate) use answers::{Answer, Known};
pub use session::Session;
use shared::Shared;
pub use status::Status;

/// How many of the newest entries of the log a replica remembers, for holders that come back.
const REMEMBERED: usize = 16_384;
/// How many tokens a replica keeps in memory, and as many again that are no good.
const CACHED: usize = 100_000;

/// The lease of a process: how long it and its holders go on without the store, and how long the last of a delete
/// can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(Duration);

impl Lease {
    /// 2 to 120 seconds.
    pub const SECONDS: std::ops::RangeInclusive<u32> = 2..=120;

    /// A lease of so many seconds, if it may be that long.
    #[must_use]
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        Self::SECONDS.contains(&seconds).then(|| Self(Duration::from_secs(seconds.into())))
    }

    /// Its length.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// 10 seconds.
impl Default for Lease {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

/// A running replica. Clones share it.
#[derive(Clone)]
pub struct Revocations {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

/// Ended when the last handle is dropped.
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Spawns a task whose end is told, be it by a panic.
fn watched(shared: &Arc<Shared>, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let end = End(Arc::clone(shared));
    tokio::spawn(async move {
        let _end = end;
        task.await;
    })
}

/// Waits until the replica has a lease. May wait for ever.
async fn leased(shared: &Shared) {
    let mut lease = shared.lease_until.subscribe();
    while *lease.borrow_and_update() <= shared.clock.moment() {
        if lease.changed().await.is_err() {
            return;
        }
    }
}

struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.send_replace(true);
    }
}

impl Revocations {
    /// Starts a replica under a new random id. It has no lease yet: see [`Self::leased`].
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        lease: Lease,
    ) -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = ReplicaId(u128::from_be_bytes(id));
        let lease = lease.get();
        let machine = Replica::new(ReplicaConfig { id, lease, remembered: REMEMBERED, rules: Rules::ALL });
        let (ops, queued) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(store, clock, machine, lease, Negatives::new(CACHED, lease), ops));
        let tasks = vec![
            watched(&shared, line::keep(Arc::clone(&shared), queued)),
            watched(&shared, bell::keep(Arc::clone(&shared))),
            watched(&shared, waits::read_rows(Arc::clone(&shared))),
            watched(&shared, trim::keep(Arc::clone(&shared))),
        ];
        Ok(Self { shared, tasks: Arc::new(Tasks(tasks)) })
    }

    /// Waits until the replica has a lease. May wait for ever.
    pub async fn leased(&self) {
        leased(&self.shared).await;
    }

    /// Waits until one of the tasks has ended: without [`Self::leave`] that is a fault, after which there may be no
    /// lease any more.
    pub async fn ended(&self) {
        // The sender is part of what is shared, so it can't be gone.
        self.shared.ended.subscribe().wait_for(|ended| *ended).await.ok();
    }

    /// Opens a session for a holder's stream.
    #[must_use]
    pub fn open(&self) -> Session {
        Session::open(Arc::clone(&self.shared))
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// What is known of a digest, from memory or from the store. `asked` is where the asking holder stands.
    pub(crate) async fn look_up(
        &self,
        digest: &TokenDigest,
        asked: Option<Position>,
    ) -> Result<Answer, StoreError> {
        answers::look_up(&self.shared, digest, asked).await
    }

    /// Waits until a revocation that is committed is in force everywhere. `begun` is when its call began.
    pub(crate) async fn in_force(
        &self,
        revocation: Revocation,
        begun: Moment,
        deadline: Moment,
    ) -> Result<Receipt, Error> {
        waits::in_force(&self.shared, revocation, begun, deadline).await
    }

    /// Asks every holder to go on at another replica, each at a moment of its own within this time, and returns when all
    /// have, or were asked and had a second for it. Until it is asked, each is served as ever. Then
    /// [`Self::close_sessions`].
    pub async fn dismiss(&self, within: Duration) {
        dismissal::dismiss(&self.shared, within).await;
    }

    /// Begins to leave: ends the holders' streams, and grants and renews nothing any more. Verifications that are
    /// under way or still come are answered for as long as its own lease lives.
    pub fn close_sessions(&self) {
        self.shared.with(|state, now| {
            let effects = state.machine.close_sessions(now);
            state.apply(now, effects);
            // Those that have not said Hello yet are streams, too.
            state.queues.clear();
        });
    }

    /// Leaves in good order: gives up its lease, goes on confirming, and removes its row from the store once no
    /// holder can use a grant of its any more, which takes up to 1.25 leases. It has no lease from now on. If the
    /// store is out of reach, the row stays, and is waited out by whoever deletes.
    pub async fn leave(&self) {
        let mut left = self.shared.left.subscribe();
        self.close_sessions();
        self.shared.tell(Replica::leave);
        // The sender is part of what is shared, so it can't be gone.
        left.wait_for(|left| *left).await.ok();
    }

    /// Stops at once, whatever is under way: to be called before the store is closed.
    pub fn stop(&self) {
        for task in &self.tasks.0 {
            task.abort();
        }
    }
}
