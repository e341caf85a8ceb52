//! The stream: opened to one server after the other, with a Renew every fifth of a lease. It has a thread of its own, so
//! that a busy service does not lose its lease.

use std::sync::Arc;
use std::time::Duration;

use gatekey_proto::v1::WatchResponse;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use super::ask::told;
use super::schedule::Schedule;
use super::target::{Remote, Target, innermost};
use super::wire;
use crate::gatekey::Leaving;
use crate::shared::{Meant, Shared};

/// When a stream broke, the next is opened this soon, and after twice as long each time, with jitter, so that many holders
/// do not come at once.
const OPEN_AGAIN: Duration = Duration::from_millis(20);
/// No longer than this.
const OPEN_AGAIN_LAST: Duration = Duration::from_secs(5);
/// How long the server may take to end the stream after a Release.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the server may take to open a stream.
const OPEN: Duration = Duration::from_secs(2);

/// How a session ended.
enum End {
    /// The interceptor leaves.
    Left,
    /// It is opened again at once, at the same server: the credentials are new, or the cache begins anew.
    Again,
    /// At another server; whether there had been a lease.
    Broken { was_leased: bool },
}

/// Until it is to leave, which it then says to the server.
pub(crate) async fn keep(shared: Arc<Shared>, mut leaving: watch::Receiver<Leaving>) {
    let Some(remote) = shared.backend.remote() else { return };
    tokio::select! {
        () = streams(&shared, remote, &mut leaving) => {}
        never = remote.refresh(&shared) => match never {},
    }
    // Wherever it was then, between two streams as well: who has left answers nothing from memory any more.
    if *leaving.borrow() == Leaving::WithAWord {
        shared.release();
    }
}

/// One after the other, until it is to leave.
async fn streams(shared: &Shared, remote: &Remote, leaving: &mut watch::Receiver<Leaving>) {
    // So that the holders of one service spread over the servers.
    let mut number = fastrand::usize(..);
    let mut failures: u32 = 0;
    loop {
        let targets = tokio::select! {
            () = left(leaving) => return,
            targets = remote.resolve(shared) => targets,
        };
        if targets.is_empty() {
            failures += 1;
        } else {
            match session(shared, remote, &targets[number % targets.len()], leaving).await {
                End::Left => return,
                End::Again => continue,
                End::Broken { was_leased } => {
                    if was_leased {
                        // It may have been replaced by one elsewhere, and others will be.
                        remote.look_soon();
                    }
                    number = number.wrapping_add(1);
                    failures = if was_leased { 0 } else { failures + 1 };
                    shared.lock().endpoint = None;
                }
            }
        }
        // Each server is tried once before the pauses grow.
        let round = u32::try_from(targets.len().max(1)).unwrap_or(u32::MAX);
        if failures > 0 && failures.is_multiple_of(round) {
            remote.forget();
        }
        let longest = OPEN_AGAIN.saturating_mul(1 << (failures / round).min(16)).min(OPEN_AGAIN_LAST);
        tokio::select! {
            () = left(leaving) => return,
            () = sleep(longest.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
        }
    }
}

async fn left(leaving: &mut watch::Receiver<Leaving>) {
    // Without a sender nobody is left to hold the interceptor.
    leaving.wait_for(|leaving| *leaving != Leaving::Not).await.ok();
}

/// From one stream's beginning to its end.
async fn session(
    shared: &Shared,
    remote: &Remote,
    target: &Arc<Target>,
    leaving: &mut watch::Receiver<Leaving>,
) -> End {
    let broken = End::Broken { was_leased: false };
    let authorization = match remote.authorization(shared) {
        Ok(authorization) => authorization,
        Err(problem) => {
            shared.trouble(&problem.to_string());
            return broken;
        }
    };
    let opened = tokio::select! {
        () = left(leaving) => return End::Left,
        opened = timeout(OPEN, open(shared, target, authorization.clone())) => opened,
    };
    let mut down = match opened {
        Ok(Ok(down)) => down,
        Ok(Err(problem)) => {
            shared.trouble(&problem);
            return broken;
        }
        Err(_) => {
            shared.trouble(&format!("{}: Watch: no answer in time", target.name));
            return broken;
        }
    };
    let mut schedule = Schedule::new();
    loop {
        tokio::select! {
            // A message that is here goes before a Renew that is due.
            biased;
            () = left(leaving) => {
                if *leaving.borrow() == Leaving::WithAWord {
                    farewell(shared, down).await;
                }
                return End::Left;
            }
            () = shared.reopen.notified() => return End::Again,
            message = down.message() => {
                let message = match message {
                    Ok(Some(message)) => wire::down(message).map_err(|problem| format!("{}: {problem}", target.name)),
                    // It drains, or another stream of this holder took this one's place.
                    Ok(None) => return End::Broken { was_leased: schedule.was_leased },
                    Err(status) => Err(told(target, "Watch", &status)),
                };
                match message {
                    Ok(message) => {
                        let meant = shared.receive(message);
                        if meant == Meant::Leave {
                            until_ended(down).await;
                            return End::Broken { was_leased: true };
                        }
                        schedule.heard(meant);
                    }
                    Err(problem) => {
                        shared.trouble(&problem);
                        return End::Broken { was_leased: schedule.was_leased };
                    }
                }
            }
            () = sleep_until(schedule.next) => {
                if schedule.in_vain() {
                    shared.trouble(&format!("{}: Watch: no lease in time", target.name));
                    return End::Broken { was_leased: schedule.was_leased };
                }
                if rotated(shared, remote, target, authorization.as_ref()) {
                    return End::Again;
                }
                shared.renew();
                schedule.asked();
            }
        }
    }
}

async fn open(
    shared: &Shared,
    target: &Target,
    authorization: Option<MetadataValue<Ascii>>,
) -> Result<Streaming<WatchResponse>, String> {
    let channel: Channel =
        target.connect().await.map_err(|cause| format!("{}: {}", target.name, innermost(&cause)))?;
    shared.lock().endpoint = Some(Arc::clone(&target.name));
    let sent = UnboundedReceiverStream::new(shared.connected());
    shared.renew();
    let mut request: Request<_> = Request::new(sent.map(wire::up));
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization);
    }
    let watch = RevocationServiceClient::new(channel).watch(request).await;
    watch.map(tonic::Response::into_inner).map_err(|status| told(target, "Watch", &status))
}

/// Whether new credentials are there: the stream under the old ones ends when they expire.
fn rotated(
    shared: &Shared,
    remote: &Remote,
    target: &Arc<Target>,
    used: Option<&MetadataValue<Ascii>>,
) -> bool {
    // What can't be read now may be in the middle of a rotation.
    remote.authorization(shared).is_ok_and(|now| now.as_ref() != used)
        || remote.rotated(std::slice::from_ref(target))
}

/// The server ends the stream once it has read the Release.
async fn farewell(shared: &Shared, down: Streaming<WatchResponse>) {
    shared.release();
    until_ended(down).await;
}

async fn until_ended(mut down: Streaming<WatchResponse>) {
    let ended = async { while let Ok(Some(_)) = down.message().await {} };
    // What it does not read, time has to do.
    timeout(FAREWELL, ended).await.ok();
}
