//! The holders of a replica that is about to end are asked to go on elsewhere: spread over time, so that they do not all
//! open their streams and ask for what they missed in one moment. When a replica leaves, and in which order, is left to
//! others.

use std::time::Duration;

use gatekey_lease::{Replica, StreamId};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::shared::Shared;

/// How long the last of them may take to say that they go.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) async fn dismiss(shared: &Shared, within: Duration) {
    let begun = Instant::now();
    let streams = shared.with(|state, _| state.machine.streams());
    for (after, stream) in spread(streams, within) {
        sleep_until(begun + after).await;
        // One that has gone by itself has no queue any more.
        shared.tell(|_, _| vec![Replica::dismiss(stream)]);
    }
    let mut open = shared.streams.subscribe();
    // The sender is part of what is shared, so only the time can pass.
    if timeout(FAREWELL, open.wait_for(|open| *open == 0)).await.is_err() {
        debug!(open = *open.borrow(), "some holders do not go by themselves");
    }
}

/// A moment for each, at random and soonest first.
fn spread(streams: Vec<StreamId>, within: Duration) -> Vec<(Duration, StreamId)> {
    let mut moments: Vec<_> = streams.into_iter().map(|stream| (a_part_of(within), stream)).collect();
    moments.sort_unstable();
    moments
}

fn a_part_of(time: Duration) -> Duration {
    // Without random numbers all go at once, which is no reason not to end.
    let random = getrandom::u32().unwrap_or(0);
    time.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_spread_over_the_time_and_not_beyond_it() {
        let within = Duration::from_secs(3);
        let moments = spread((0..1_000).map(StreamId).collect(), within);
        assert!(moments.is_sorted() && moments.iter().all(|(after, _)| *after <= within));
        // 1,000 at random: each tenth has about 100 of them, and fewer than 20 once in 10^20 runs.
        for tenth in 0..10 {
            let (from, to) = (within * tenth / 10, within * (tenth + 1) / 10);
            let count = moments.iter().filter(|(after, _)| (from..=to).contains(after)).count();
            assert!(count >= 20, "{count} in the tenth {tenth}");
        }
        assert!(spread(vec![StreamId(1)], Duration::ZERO).iter().all(|(after, _)| after.is_zero()));
    }
}
