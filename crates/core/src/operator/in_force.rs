//! Waits, from outside of any replica, until what is committed is in force everywhere. How long and for whom is decided
//! by `gatekey_lease::Deletion`, as for each DeleteToken.

use std::time::Duration;

use gatekey_lease::{Deletion, Moment, Next, Receipt, Rows, Rules};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::{EpochBegun, Operator, Run};

/// Between two looks at the rows: there is no bell here, so that it goes on behind a pooler as well.
const POLL: Duration = Duration::from_millis(25);
const LIMIT: Duration = Duration::from_secs(5);

/// Why it is not known that all is in force.
#[derive(Debug, thiserror::Error)]
#[error(
    "history forked while the revocations waited to be in force (a failover or a restore), and some are lost: run the \
     command again"
)]
pub struct NotInForce;

/// Time alone is not believed: a failover may have lost what was committed, and only a log that was read can tell. So this
/// ends by a reading, and goes on for as long as there is none.
pub(super) async fn wait(operator: &Operator, run: &Run) -> Result<Receipt, NotInForce> {
    let mut deletion = Deletion::begin(run.begun, Moment::from_nanos(u64::MAX), Rules::ALL);
    let now = || operator.clock.moment();
    // What comes next is for the first reading to say. Only what was found deleted before is counted from here, as its own
    // delete may be waiting still.
    if run.newest.repeated {
        deletion.seen(now(), run.newest.position, run.newest.max_lease);
    } else {
        deletion.committed(now(), run.newest.position, run.newest.max_lease);
    }
    let mut asked = run.marks.clone();
    if !asked.contains(&run.newest.position) {
        asked.push(run.newest.position);
    }
    loop {
        match timeout(LIMIT, operator.store.replica_rows(&asked)).await {
            Ok(Ok(read)) => {
                let contains = asked.iter().all(|position| read.contained.contains(position));
                match deletion.rows(now(), &Rows { rows: read.rows, contains }) {
                    Next::Return(receipt) => return Ok(receipt),
                    Next::Lost => return Err(NotInForce),
                    // There is no deadline to be late for.
                    Next::Wait { .. } | Next::Late { .. } => {}
                }
            }
            Ok(Err(cause)) => debug!(?cause, "the rows of the replicas can't be read"),
            Err(_) => debug!("the rows of the replicas can't be read in time"),
        }
        sleep(POLL).await;
    }
}

/// No row confirms an epoch, so only time tells: 1.25 times the longest lease of all that may still live. How long it was.
///
/// That there is no row proves nothing: a backup of a time when no server ran has none either, and one may have run since.
pub(super) async fn leases_over(operator: &Operator, begun: &EpochBegun) -> Duration {
    let since = operator.clock.moment();
    let read = timeout(LIMIT, operator.store.replica_rows(&[])).await;
    let longest = match &read {
        Ok(Ok(read)) => read.rows.iter().map(|row| row.lease).max().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let lease = longest.max(begun.max_lease);
    let mut deletion = Deletion::begin(since, Moment::from_nanos(u64::MAX), Rules::ALL);
    let mut next = deletion.committed(since, begun.head, lease);
    while let Next::Wait { until } = next {
        let now = operator.clock.moment();
        sleep(until.since(now).min(Duration::from_secs(1))).await;
        next = deletion.tick(operator.clock.moment());
    }
    operator.clock.moment().since(since)
}
