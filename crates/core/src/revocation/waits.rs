//! Deletes that wait until their revocation is in force, and the one reader of the replicas' rows that serves all of
//! them. How long each waits, and for whom, is decided by `gatekey_lease::Deletion`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gatekey_lease::{Deletion, Moment, Next, Position, Receipt, Rows, Rules};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::shared::Shared;
use crate::{Error, Revocation, StoreError};

/// How often the rows are read though no bell rang, while somebody waits.
const POLL: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_secs(5);

/// Who waits.
#[derive(Default)]
pub(super) struct Waits {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    number: u64,
    by_number: HashMap<u64, (Position, watch::Sender<Option<Rows>>)>,
}

impl Waits {
    /// The rows may have changed, or somebody new wants to know them.
    pub(super) fn poke(&self) {
        self.changed.notify_one();
    }

    /// How many deletes wait.
    pub(super) fn len(&self) -> usize {
        self.lock().by_number.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait. Every reading that it gets began after this.
    fn enter(&self, position: Position) -> Place<'_> {
        let (sender, readings) = watch::channel(None);
        let mut waiting = self.lock();
        waiting.number += 1;
        let number = waiting.number;
        waiting.by_number.insert(number, (position, sender));
        drop(waiting);
        self.poke();
        Place { waits: self, number, readings }
    }

    fn entered(&self) -> Vec<(u64, Position)> {
        self.lock().by_number.iter().map(|(number, (position, _))| (*number, *position)).collect()
    }

    fn tell(&self, number: u64, rows: Rows) {
        if let Some((_, sender)) = self.lock().by_number.get(&number) {
            sender.send_replace(Some(rows));
        }
    }
}

/// One who waits, until it is dropped.
struct Place<'a> {
    waits: &'a Waits,
    number: u64,
    readings: watch::Receiver<Option<Rows>>,
}

impl Place<'_> {
    async fn reading(&mut self) -> Rows {
        loop {
            // The sender lives as long as this does.
            if self.readings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(rows) = self.readings.borrow_and_update().clone() {
                return rows;
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waits.lock().by_number.remove(&self.number);
    }
}

/// Reads the rows for all who wait, for as long as the replica runs.
pub(super) async fn read_rows(shared: Arc<Shared>) {
    let waits = &shared.waits;
    loop {
        if waits.len() == 0 {
            waits.changed.notified().await;
        } else {
            // What nobody rings for is found all the same.
            timeout(POLL, waits.changed.notified()).await.ok();
        }
        let entered = waits.entered();
        if entered.is_empty() {
            continue;
        }
        let positions: Vec<Position> = entered.iter().map(|(_, position)| *position).collect();
        match timeout(LIMIT, shared.store.replica_rows(&positions)).await {
            Ok(Ok(read)) => {
                for (number, position) in entered {
                    let contains = read.contained.contains(&position);
                    waits.tell(number, Rows { rows: read.rows.clone(), contains });
                }
            }
            // The time runs on without it.
            Ok(Err(cause)) => debug!(?cause, "the rows of the replicas can't be read"),
            Err(_) => debug!("the rows of the replicas can't be read in time"),
        }
    }
}

/// Waits until a committed revocation is in force everywhere.
pub(super) async fn in_force(
    shared: &Shared,
    revocation: Revocation,
    begun: Moment,
    deadline: Moment,
) -> Result<Receipt, Error> {
    let Revocation { position, repeated, max_lease } = revocation;
    let mut deletion = Deletion::begin(begun, deadline, Rules::ALL);
    let now = shared.clock.moment();
    let mut next = if repeated {
        deletion.seen(now, position, max_lease)
    } else {
        deletion.committed(now, position, max_lease)
    };
    let mut place = shared.waits.enter(position);
    loop {
        let until = match next {
            Next::Wait { until } => until,
            Next::Return(receipt) => {
                shared.counts.deleted(&receipt);
                return Ok(receipt);
            }
            Next::Late { effective_in, .. } => {
                shared.counts.late();
                return Err(Error::RevocationPending { effective_in });
            }
            Next::Lost => return Err(StoreError::Unavailable(Box::new(HistoryForked)).into()),
        };
        let left = until.since(shared.clock.moment());
        next = tokio::select! {
            rows = place.reading() => deletion.rows(shared.clock.moment(), &rows),
            () = sleep(left) => deletion.tick(shared.clock.moment()),
        };
    }
}

/// The log does not contain the revocation any more: nothing is known of it.
#[derive(Debug, thiserror::Error)]
#[error("history forked while a revocation waited to be in force; delete again")]
struct HistoryForked;
