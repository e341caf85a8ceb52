//! The stream: opened to one server after the other, with a Renew every fifth of a lease. It has a thread of its own, so
//! that a busy service does not lose its lease.

use std::sync::Arc;
use std::time::Duration;

use gatekey_proto::v1::WatchResponse;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use tonic::Streaming;

use super::ask::told;
use super::opening::{Opened, Opening, Taken, coming, open, rotated, successor};
use super::schedule::Schedule;
use super::servers::Remote;
use super::target::Target;
use super::wire;
use crate::backend::Source;
use crate::gatekey::Leaving;
use crate::shared::{Meant, Shared};

/// When a stream broke, the next is opened this soon, and after twice as long each time, with jitter, so that many holders
/// do not come at once.
const OPEN_AGAIN: Duration = Duration::from_millis(20);
/// No longer than this.
const OPEN_AGAIN_LAST: Duration = Duration::from_secs(5);
/// How long the server may take to end the stream after a Release.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a session ended.
enum End {
    /// The interceptor leaves.
    Left,
    /// It is opened again at once: the cache begins anew.
    Again,
    /// At another server; whether there had been a lease.
    Broken { was_leased: bool },
}

/// Until it is to leave, which it then says to the server.
pub(crate) async fn keep(shared: Arc<Shared>, mut leaving: watch::Receiver<Leaving>) {
    match shared.backend.source() {
        Source::Servers(remote) => tokio::select! {
            () = streams(&shared, remote, &mut leaving) => {}
            never = remote.refresh(&shared) => match never {},
        },
        #[cfg(any(test, feature = "test-util"))]
        Source::Fake(world) => tokio::select! {
            () = left(&mut leaving) => {}
            never = world.keep(&shared) => match never {},
        },
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

/// From one stream's beginning to its end, or that of the last that took its place.
async fn session(
    shared: &Shared,
    remote: &Remote,
    target: &Arc<Target>,
    leaving: &mut watch::Receiver<Leaving>,
) -> End {
    let opened = tokio::select! {
        () = left(leaving) => return End::Left,
        opened = open(shared, remote, target) => opened,
    };
    let (mut stream, mut schedule) = match opened {
        Ok(taken) => begin(shared, remote, taken),
        Err(problem) => {
            shared.trouble(&problem);
            return End::Broken { was_leased: false };
        }
    };
    let mut next: Option<Opening<'_>> = None;
    // It has ended while the next is on its way.
    let mut over = false;
    loop {
        tokio::select! {
            // A message that is here goes before a Renew that is due.
            biased;
            () = left(leaving) => {
                if *leaving.borrow() == Leaving::WithAWord {
                    farewell(shared, stream.down).await;
                }
                return End::Left;
            }
            () = shared.reopen.notified() => return End::Again,
            message = stream.down.message(), if !over => {
                let name = &stream.target.name;
                let message = match message {
                    Ok(Some(message)) => {
                        wire::down(message).map(Some).map_err(|problem| format!("{name}: {problem}"))
                    }
                    // It drains, its credentials have expired, or another stream of this holder took this one's place.
                    Ok(None) => Ok(None),
                    Err(status) => Err(told(&stream.target, "Watch", &status)),
                };
                match message {
                    Ok(Some(message)) => {
                        let meant = shared.receive(message);
                        if meant == Meant::Leave {
                            until_ended(stream.down).await;
                            return End::Broken { was_leased: true };
                        }
                        schedule.heard(meant);
                    }
                    Ok(None) => over = true,
                    Err(problem) => {
                        shared.trouble(&problem);
                        over = true;
                    }
                }
                if over && next.is_none() {
                    return End::Broken { was_leased: schedule.was_leased };
                }
            }
            opened = coming(&mut next) => {
                next = None;
                match opened {
                    // What still comes on the one before must not be heard any more.
                    Ok(Some(taken)) => {
                        let was_leased = schedule.was_leased;
                        (stream, schedule) = begin(shared, remote, taken);
                        (schedule.was_leased, over) = (was_leased, false);
                    }
                    Ok(None) => {}
                    // With the next Renew it is tried again, for as long as the one before goes on.
                    Err(problem) => shared.trouble(&problem),
                }
                if over {
                    return End::Broken { was_leased: schedule.was_leased };
                }
            }
            () = sleep_until(schedule.next), if !over => {
                if schedule.in_vain() {
                    shared.trouble(&format!("{}: Watch: no lease in time", stream.target.name));
                    return End::Broken { was_leased: schedule.was_leased };
                }
                if next.is_none() && rotated(shared, remote, &stream) {
                    let (target, used) = (Arc::clone(&stream.target), stream.authorization.clone());
                    next = Some(Box::pin(successor(shared, remote, target, used)));
                }
                shared.renew();
                schedule.asked();
            }
        }
    }
}

/// The first messages on it.
fn begin(shared: &Shared, remote: &Remote, (stream, out): Taken) -> (Opened, Schedule) {
    remote.taken(stream.authorization.clone());
    shared.connected(Some(Arc::clone(&stream.target.name)), out);
    shared.renew();
    (stream, Schedule::new())
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
