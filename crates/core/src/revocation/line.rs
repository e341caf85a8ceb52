//! The line: one connection to the store on which the replica's row, the log and the confirmations go, one after
//! the other. A line that breaks is replaced; what was queued on it is forgotten, and the machine begins anew.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Moment, Replica};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::shared::{Op, Shared};
use crate::{ReplicaLine, StoreError};

/// How often the log is looked at though no bell rang.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait before a line that could not be opened is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How many entries of the log are read at once.
const ENTRIES: u32 = 4_096;
/// How long a log that can't be followed is left alone.
const PACE: Duration = Duration::from_millis(50);
/// How soon what is due, and could not be done, is looked at again.
const SOON: Duration = Duration::from_millis(1);
/// The least time for one statement.
const LEAST: Duration = Duration::from_secs(1);

/// Keeps the line open, for as long as the replica runs.
pub(super) async fn keep(shared: Arc<Shared>, mut ops: UnboundedReceiver<Op>) {
    // A statement that takes longer is of no use to a lease.
    let limit = (shared.lease / 2).max(LEAST);
    let (mut broken, mut opened_before) = (false, false);
    loop {
        let opened = timeout(limit, shared.store.open_line()).await;
        // A store that is opened later has its lines wait, and whoever opens it says what it waits for.
        let silent = broken || (opened.is_err() && !opened_before);
        let opened = opened.unwrap_or_else(|_| Err(late()));
        let ended = match opened {
            Ok(line) => {
                if std::mem::take(&mut broken) {
                    info!("the line to the store is open again");
                }
                opened_before = true;
                begin(&shared, &mut ops);
                Keeper { shared: &shared, line, limit, renew_at: None }.serve(&mut ops).await
            }
            Err(cause) => Err(cause),
        };
        let leaving = shared.with(|state, _| state.machine.leaving());
        match ended {
            Ok(()) => return,
            Err(cause) if leaving => {
                warn!(?cause, "leaves without the store: deletes wait until the row was seen to stand still");
                shared.left.send_replace(true);
                return;
            }
            Err(cause) if silent => debug!(?cause, "no line to the store yet"),
            Err(cause) => {
                warn!(?cause, "the line to the store broke: leases can't be renewed until it is open again");
                broken = true;
            }
        }
        shared.tell(Replica::tick);
        sleep(RETRY).await;
    }
}

fn late() -> StoreError {
    StoreError::Unavailable("no answer in time".into())
}

/// A new line, perhaps to another primary. What was queued for the old one is forgotten under the same lock under
/// which the machine is told, so that nothing in between is.
fn begin(shared: &Shared, ops: &mut UnboundedReceiver<Op>) {
    shared.with(|state, now| {
        while ops.try_recv().is_ok() {}
        state.log_begun();
        let effects = state.machine.reconnected();
        state.apply(now, effects);
    });
}

struct Keeper<'a> {
    shared: &'a Shared,
    line: Box<dyn ReplicaLine>,
    limit: Duration,
    /// When the next renewal begins; none before the connections are renewed.
    renew_at: Option<Moment>,
}

impl Keeper<'_> {
    /// Does what is queued, renews every L/5 and polls, until the line breaks or the replica has left.
    async fn serve(mut self, ops: &mut UnboundedReceiver<Op>) -> Result<(), StoreError> {
        let mut poll_at = Moment::NEVER;
        loop {
            let now = self.shared.clock.moment();
            let due = self.shared.with(|state, now| {
                // One that takes longer than L/5 comes to its end first.
                if self.renew_at.is_some_and(|renew_at| now >= renew_at) && !state.machine.renewing() {
                    self.renew_at = Some(now.plus(self.shared.lease / 5));
                    let effects = state.machine.renew(now);
                    state.apply(now, effects);
                }
                if now >= poll_at {
                    poll_at = now.plus(POLL);
                    let mut effects = state.machine.wake();
                    effects.extend(state.machine.tick(now));
                    state.negatives.tick(now);
                    state.apply(now, effects);
                }
                // What is due already waits for something else to happen first.
                let soon = now.plus(SOON);
                let others = self.renew_at.into_iter().chain(state.machine.next_tick());
                others.map(|due| due.max(soon)).fold(poll_at, Moment::min)
            });
            tokio::select! {
                biased;
                op = ops.recv() => match op {
                    Some(op) => {
                        if self.run(op).await? {
                            return Ok(());
                        }
                    }
                    None => return Ok(()),
                },
                () = sleep(due.since(now)) => self.shared.tell(Replica::tick),
            }
        }
    }

    /// Does one thing in the store, and tells the machine. Whether the replica has left.
    async fn run(&mut self, op: Op) -> Result<bool, StoreError> {
        let Self { shared, line, limit, .. } = self;
        let limit = *limit;
        match op {
            Op::CommitRow { n, lease } => {
                let inserted = bounded(limit, line.commit_row(shared.id, n, lease)).await?;
                shared.with(|state, now| {
                    let effects = state.machine.row_committed(inserted);
                    state.apply(now, effects);
                    state.queue(Op::ReadRows);
                });
            }
            Op::ReadHead => {
                let head = bounded(limit, line.head()).await?;
                shared.counts.head(head.position);
                shared.tell(|machine, now| machine.head_read(now, head));
            }
            Op::ReadLog { from } => {
                shared.with(|state, _| state.log_begun());
                let entries = bounded(limit, line.entries_from(from, ENTRIES)).await?;
                let stuck = shared.with(|state, now| {
                    let before = state.machine.position();
                    let mut effects = state.machine.log_read(now, &entries);
                    if entries.len() >= ENTRIES as usize {
                        effects.extend(state.machine.wake());
                    }
                    state.apply(now, effects);
                    let after = state.machine.position();
                    after.is_none() || (after == before && state.machine.renewing())
                });
                // History forked, or the log lacks what its head promises, as while a backup is restored: not to be
                // asked again at full speed.
                if stuck {
                    sleep(PACE).await;
                }
            }
            Op::ReadRows => {
                let rows = bounded(limit, line.rows()).await?;
                shared.tell(|machine, now| machine.rows_read(now, &rows));
            }
            Op::RenewConnections => {
                shared.store.renew_connections().await;
                shared.with(|state, _| state.machine.pool_closed());
                self.renew_at = Some(shared.clock.moment());
            }
            Op::Confirm(confirmation) => {
                bounded(limit, line.confirm(shared.id, confirmation)).await?;
                shared.waits.poke();
            }
            Op::RemoveRow { id, n } => {
                let removed = bounded(limit, line.remove_row(id, n)).await;
                if id == shared.id {
                    removed?;
                    shared.left.send_replace(true);
                    return Ok(true);
                }
                if let Err(cause) = removed {
                    // It is tried again with the next renewal. If the line broke, the next statement tells.
                    debug!(?cause, "the row of a replica that stood still could not be removed");
                    return Ok(false);
                }
                shared.waits.poke();
                info!(replica = %format_args!("{:032x}", id.0), "removed the row of a replica that stood still");
            }
        }
        Ok(false)
    }
}

async fn bounded<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, statement).await.unwrap_or_else(|_| Err(late()))
}
