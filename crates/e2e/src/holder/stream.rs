//! A holder's stream: opened to one replica after the other, with a Renew every fifth of a lease.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::{WatchRequest, WatchResponse};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::Streaming;

use super::PATIENCE;
use super::shared::{Meant, Shared};

/// When a Renew got no answer, the next comes this soon, and then after twice as long each time.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Taken for the lease as long as none was granted: the shortest there is.
const SHORTEST: Duration = Duration::from_secs(2);

/// Until it is to leave.
pub(super) async fn run(shared: Arc<Shared>, first: usize) {
    let mut endpoint = first;
    while !shared.left() {
        session(&shared, endpoint).await;
        endpoint = (endpoint + 1) % shared.endpoints.len();
        // With jitter, so that many holders do not come at once.
        sleep(Duration::from_millis(fastrand::u64(10..100))).await;
    }
    shared.end();
}

/// From one stream's beginning to its end, or until it is to leave.
async fn session(shared: &Shared, endpoint: usize) {
    let Ok(Ok(channel)) = timeout(PATIENCE, shared.endpoints[endpoint].connected()).await else { return };
    let sent = shared.connected(endpoint);
    shared.renew();
    let client = &shared.endpoints[endpoint];
    let mut service = RevocationServiceClient::new(channel);
    let watch = service.watch(client.request(up(sent)));
    let Ok(Ok(answer)) = timeout(PATIENCE, watch).await else { return };
    let mut down = answer.into_inner();
    let mut schedule = Schedule::new();
    loop {
        tokio::select! {
            // A message that is here goes before a Renew that is due.
            biased;
            () = shared.leaves() => return release(shared, down).await,
            message = down.message() => match message {
                Ok(Some(message)) => schedule.heard(shared.receive(message)),
                Ok(None) | Err(_) => return,
            },
            () = sleep_until(schedule.next) => {
                if schedule.in_vain() {
                    return;
                }
                shared.renew();
                schedule.asked();
            }
        }
    }
}

fn up(
    mut sent: UnboundedReceiver<WatchRequest>,
) -> impl stream::Stream<Item = WatchRequest> + Send + 'static {
    stream::poll_fn(move |context| sent.poll_recv(context))
}

/// The server ends the stream once it has read the Release.
async fn release(shared: &Shared, mut down: Streaming<WatchResponse>) {
    shared.release();
    let ended = async { while let Ok(Some(_)) = down.message().await {} };
    // What it does not read, time has to do.
    timeout(PATIENCE, ended).await.ok();
}

/// When to renew.
struct Schedule {
    next: Instant,
    lease: Duration,
    /// When a lease was granted last, or the stream began.
    granted: Instant,
    again: Duration,
}

impl Schedule {
    fn new() -> Self {
        let now = Instant::now();
        Self { next: now + ASK_AGAIN, lease: SHORTEST, granted: now, again: ASK_AGAIN }
    }

    fn heard(&mut self, meant: Meant) {
        let now = Instant::now();
        match meant {
            Meant::Lease(length) => {
                *self = Self { next: now + length / 5, lease: length, granted: now, again: ASK_AGAIN }
            }
            Meant::Reset => self.next = now,
            Meant::Nothing => {}
        }
    }

    fn asked(&mut self) {
        self.next = Instant::now() + self.again;
        self.again = (self.again * 2).min(self.lease / 5);
    }

    /// No lease for so long: another replica may have one.
    fn in_vain(&self) -> bool {
        self.granted.elapsed() > self.lease.max(SHORTEST) * 5 / 4
    }
}
