//! The canary's Watch: opened at one endpoint after the other, with a Renew every fifth of a lease.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::poll_fn;
use gatekey_lease::Down;
use gatekey_proto::v1::WatchResponse;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::Streaming;

use super::endpoint::Endpoint;
use super::holding::{Holding, Meant};
use super::trouble::Failed;
use super::wire;

/// When a stream broke, the next is opened this soon, and then after twice as long each time.
const OPEN_AGAIN: Duration = Duration::from_millis(50);
/// No longer than this.
const OPEN_AGAIN_LAST: Duration = Duration::from_secs(5);
/// When a Renew got no answer, the next comes this soon, and then after twice as long each time.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Taken for the lease as long as none was granted: the shortest that there is.
const SHORTEST: Duration = Duration::from_secs(2);
/// How long the server may take to end the stream after a Release.
const FAREWELL: Duration = Duration::from_secs(1);

/// Until it is to leave.
pub(super) async fn keep(
    holding: Arc<Holding>,
    endpoints: Arc<[Endpoint]>,
    mut leaving: watch::Receiver<bool>,
) {
    let mut pause = OPEN_AGAIN;
    for endpoint in endpoints.iter().cycle() {
        let was_leased = session(&holding, endpoint, &mut leaving).await;
        pause = if was_leased { OPEN_AGAIN } else { (pause * 2).min(OPEN_AGAIN_LAST) };
        tokio::select! {
            () = left(&mut leaving) => return,
            () = sleep(pause) => {}
        }
    }
}

/// From one stream's beginning to its end. Whether it gave a lease.
async fn session(holding: &Holding, endpoint: &Endpoint, leaving: &mut watch::Receiver<bool>) -> bool {
    let Ok(channel) = endpoint.connect().await else { return false };
    let mut sent = holding.connected();
    holding.renew();
    let messages = poll_fn(move |context| sent.poll_recv(context));
    let Ok(down) = endpoint.watch(channel, messages).await else { return false };
    let mut schedule = Schedule::new();
    if let Err(failed) = follow(holding, endpoint, down, &mut schedule, leaving).await {
        endpoint.broke(&failed);
    }
    schedule.was_leased
}

/// Until the stream ends, gives no lease for too long, or is to be left.
async fn follow(
    holding: &Holding,
    endpoint: &Endpoint,
    mut down: Streaming<WatchResponse>,
    schedule: &mut Schedule,
    leaving: &mut watch::Receiver<bool>,
) -> Result<(), Failed> {
    loop {
        tokio::select! {
            // A message that is here goes before a Renew that is due.
            biased;
            () = left(leaving) => {
                release(holding, down).await;
                return Ok(());
            }
            message = next(&mut down) => {
                let Some(message) = message? else { return Ok(()) };
                let meant = holding.receive(message);
                if matches!(meant, Meant::Lease(_)) {
                    endpoint.leased();
                }
                if meant == Meant::Leave {
                    until_ended(down).await;
                    return Ok(());
                }
                schedule.heard(meant);
            }
            () = sleep_until(schedule.next) => {
                if schedule.in_vain() {
                    return Ok(());
                }
                holding.renew();
                schedule.asked();
            }
        }
    }
}

/// What the server says next; nothing if it leaves. May be given up at any time.
async fn next(down: &mut Streaming<WatchResponse>) -> Result<Option<Down>, Failed> {
    let Some(message) = down.message().await? else { return Ok(None) };
    let message = wire::down(message);
    message.map(Some).ok_or_else(|| Failed::nonsense("a message that is not in the contract"))
}

async fn left(leaving: &mut watch::Receiver<bool>) {
    // If nobody can ask it to leave any more, it is to leave.
    leaving.wait_for(|leaving| *leaving).await.ok();
}

async fn release(holding: &Holding, down: Streaming<WatchResponse>) {
    holding.release();
    until_ended(down).await;
}

async fn until_ended(mut down: Streaming<WatchResponse>) {
    let ended = async { while let Ok(Some(_)) = down.message().await {} };
    // What the server does not read, time has to do.
    timeout(FAREWELL, ended).await.ok();
}

/// When to renew.
struct Schedule {
    next: Instant,
    lease: Duration,
    /// When a lease was granted last, or the stream began.
    granted: Instant,
    again: Duration,
    was_leased: bool,
}

impl Schedule {
    fn new() -> Self {
        let now = Instant::now();
        Self { next: now + ASK_AGAIN, lease: SHORTEST, granted: now, again: ASK_AGAIN, was_leased: false }
    }

    fn heard(&mut self, meant: Meant) {
        let now = Instant::now();
        match meant {
            Meant::Lease(lease) => {
                *self =
                    Self { next: now + lease / 5, lease, granted: now, again: ASK_AGAIN, was_leased: true }
            }
            Meant::Reset => self.next = now,
            Meant::Leave | Meant::Nothing => {}
        }
    }

    fn asked(&mut self) {
        self.next = Instant::now() + self.again;
        self.again = (self.again * 2).min(self.lease / 5).max(ASK_AGAIN);
    }

    /// No lease for so long: another server may have one to give.
    fn in_vain(&self) -> bool {
        self.granted.elapsed() > self.lease.max(SHORTEST) * 5 / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_renewed_after_a_fifth_and_again_soon_if_nothing_comes() {
        let begun = Instant::now();
        let mut schedule = Schedule::new();
        assert_eq!(schedule.next - begun, ASK_AGAIN);
        schedule.heard(Meant::Reset);
        assert_eq!(schedule.next, begun);
        schedule.heard(Meant::Lease(Duration::from_secs(10)));
        assert_eq!(schedule.next - begun, Duration::from_secs(2));
        let waits = [50, 100, 200, 400, 800, 1_600, 2_000, 2_000];
        for wait in waits.map(Duration::from_millis) {
            schedule.asked();
            assert_eq!(schedule.next - begun, wait);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_endpoint_is_tried_when_the_lease_is_long_over() {
        let mut schedule = Schedule::new();
        schedule.heard(Meant::Lease(Duration::from_secs(10)));
        sleep(Duration::from_millis(12_500)).await;
        assert!(!schedule.in_vain());
        sleep(Duration::from_millis(1)).await;
        assert!(schedule.in_vain());
    }
}
