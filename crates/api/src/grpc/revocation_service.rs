//! `gatekey.v1.RevocationService`: carries what a holder and the replica say to each other. What they say is decided
//! in `gatekey-lease`.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use gatekey_core::{Clock, Revocations, Session, SystemClock};
use gatekey_lease::Down;
use gatekey_model::Timestamp;
use gatekey_proto::v1;
use gatekey_proto::v1::ErrorReason;
use gatekey_proto::v1::revocation_service_server::RevocationService;
use tokio::time::{Sleep, sleep};
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use super::door::ProvenBy;
use super::{open, refuse};
use crate::{ApiError, convert};

/// Credentials that live longer end their stream after this all the same: tokio's timers reach no further than years.
const LONGEST: Duration = Duration::from_hours(24 * 365);

pub(super) struct RevocationApi {
    revocations: Revocations,
    /// How old a stream may become.
    age: Duration,
}

impl RevocationApi {
    /// Holders are asked to go on elsewhere before their connection is closed for its age: then nobody waits for them.
    pub(super) fn new(revocations: Revocations, connection_age: Duration) -> Self {
        Self { revocations, age: connection_age }
    }
}

#[tonic::async_trait]
impl RevocationService for RevocationApi {
    type WatchStream = BoxStream<'static, Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let proof = request.extensions().get::<ProvenBy>().cloned();
        let (call, holder) = open(request)?;
        call.require_verifier().map_err(refuse)?;
        let watch = Watch {
            session: self.revocations.open(),
            holder,
            first: true,
            ages: Some(Box::pin(sleep(shortened(self.age)))),
            ends: end(proof, call.caller.expires),
        };
        Ok(Response::new(stream::unfold(Some(watch), next).boxed()))
    }
}

/// One stream of a holder. The session is told that it broke when this is dropped.
struct Watch {
    session: Session,
    holder: Streaming<v1::WatchRequest>,
    first: bool,
    /// When the holder is asked to go on elsewhere; once.
    ages: Option<Pin<Box<Sleep>>>,
    /// When the caller's credentials hold no longer, and why.
    ends: BoxFuture<'static, ApiError>,
}

/// A certificate may also lose its authority before it expires.
fn end(proof: Option<ProvenBy>, expires: Timestamp) -> BoxFuture<'static, ApiError> {
    match proof {
        Some(ProvenBy(certificate)) => certificate.lost().boxed(),
        None => sleep(life(expires))
            .map(|()| ApiError::new(ErrorReason::CredentialsInvalid).because("they have expired"))
            .boxed(),
    }
}

fn life(expires: Timestamp) -> Duration {
    let left = expires.unix_micros().saturating_sub(SystemClock.now().unix_micros());
    Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(LONGEST)
}

/// By up to a tenth, at random, so that holders that came together do not go together.
fn shortened(age: Duration) -> Duration {
    // Without random numbers they do.
    age / 10 * 9 + (age / 10) * (getrandom::u32().unwrap_or(0) >> 16) / (1 << 16)
}

async fn aged(ages: &mut Option<Pin<Box<Sleep>>>) {
    match ages {
        Some(ages) => ages.as_mut().await,
        None => std::future::pending().await,
    }
}

/// What is to be said next. Listens to the holder meanwhile; nothing is kept for a holder that does not read, but
/// what the session's queue holds.
async fn next(watch: Option<Watch>) -> Option<(Result<v1::WatchResponse, Status>, Option<Watch>)> {
    let mut watch = watch?;
    loop {
        // What is to be said goes before what is heard: a holder that asks without pause is answered, and does not
        // fill its own queue.
        let event = tokio::select! {
            biased;
            why = &mut watch.ends => Event::Over(why),
            () = aged(&mut watch.ages) => {
                watch.ages = None;
                watch.session.dismiss();
                continue;
            }
            message = watch.session.next() => Event::Say(message),
            heard = watch.holder.next() => Event::Heard(heard),
        };
        match event {
            Event::Over(why) => return Some((Err(why.into_status()), None)),
            Event::Say(message) => {
                return message.map(|message| (Ok(convert::watch_response(message)), Some(watch)));
            }
            Event::Heard(Some(Ok(message))) => {
                match convert::watch_request(message, std::mem::take(&mut watch.first)) {
                    Ok(message) => watch.session.receive(message),
                    Err(violations) => return Some((Err(ApiError::from(violations).into_status()), None)),
                }
            }
            // Broken, or ended without a Release.
            Event::Heard(Some(Err(status))) => {
                debug!(code = ?status.code(), "the stream of a holder broke");
                return None;
            }
            Event::Heard(None) => return None,
        }
        // Others want to be heard, too.
        tokio::task::coop::consume_budget().await;
    }
}

enum Event {
    Over(ApiError),
    Say(Option<Down>),
    Heard(Option<Result<v1::WatchRequest, Status>>),
}
