//! What nobody but this process can ask about its own replicas, and what is therefore not worth a write to the
//! disk: how often each has renewed its lease, and what it confirms. That a replica is there is in the file, as
//! a process that crashed must be waited for by the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatekey_core::Confirmation;
use gatekey_lease::ReplicaId;

/// This process's replicas. Clones share them. One that is here has a committed row in the file: it enters after
/// the commit and leaves before the row is removed, each time while nobody else can write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replicas(Arc<Mutex<HashMap<ReplicaId, Live>>>);

/// A replica of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) n: u64,
    lease: Duration,
    pub(crate) confirmation: Option<Confirmation>,
}

/// Whether a row may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is of this process, and has left: whatever the file says of its count.
    Left,
    /// It is of this process, and has another count.
    Refused,
    /// It is of no replica that is here: the file has its count.
    Unknown,
}

impl Replicas {
    /// Counts a renewal. False if the replica's row has to be written first.
    pub(crate) fn renew(&self, id: ReplicaId, n: u64, lease: Duration) -> bool {
        match self.lock().get_mut(&id) {
            Some(live) if live.lease == lease => {
                live.n = n;
                true
            }
            _ => false,
        }
    }

    /// Whether a replica is here.
    pub(crate) fn has(&self, id: ReplicaId) -> bool {
        self.lock().contains_key(&id)
    }

    /// The replica's row is committed with this lease. What it confirms stays as it is.
    pub(crate) fn enter(&self, id: ReplicaId, n: u64, lease: Duration) {
        let mut replicas = self.lock();
        let confirmation = replicas.get(&id).and_then(|live| live.confirmation);
        replicas.insert(id, Live { n, lease, confirmation });
    }

    /// The replica's row is about to be removed, if it has this count.
    pub(crate) fn leave(&self, id: ReplicaId, n: u64) -> Removal {
        let mut replicas = self.lock();
        match replicas.get(&id) {
            None => Removal::Unknown,
            Some(live) if live.n == n => {
                replicas.remove(&id);
                Removal::Left
            }
            Some(_) => Removal::Refused,
        }
    }

    /// False if the replica is not here.
    pub(crate) fn confirm(&self, id: ReplicaId, confirmation: Confirmation) -> bool {
        let mut replicas = self.lock();
        let Some(live) = replicas.get_mut(&id) else { return false };
        live.confirmation = Some(confirmation);
        true
    }

    /// All of them, at this moment.
    pub(crate) fn all(&self) -> HashMap<ReplicaId, Live> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ReplicaId, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
