//! What every call of the gRPC port passes through, in this order: its id (for the log) and span (of its trace), loopback,
//! the form of errors, the deadline, and who calls.
//!
//! A service of its own and no stack of middleware functions: for a caller who is known already, which is nearly every
//! call, all of it is done before there is a future, and one small one is made.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, TryFutureExt};
use gatekey_core::{Caller, LogContext};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use super::ending::follow;
use super::figures::Figures;
use super::{authenticate, authorization, complete, deadline, public_streams};
use crate::auth::refusals;
use crate::call_id::{Identified, KnownPaths};
use crate::connections::Peer;
use crate::drained::drained;
use crate::tls::ClientCertificate;
use crate::traces::{Calls, TracedCall};
use crate::{ApiError, Authenticator, Gateways, Readiness, loopback};

/// What it takes to let a call in.
pub(super) struct Door {
    pub(super) paths: KnownPaths,
    /// None are taken without a recorder.
    pub(super) figures: Option<Figures>,
    /// None are made where nobody is to see them.
    pub(super) traces: Option<Calls>,
    /// Whether only local callers are answered.
    pub(super) only_local: bool,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) gateways: Gateways,
    pub(super) readiness: Readiness,
}

/// Puts the door in front of the services.
#[derive(Clone)]
pub(super) struct DoorLayer(pub(super) Arc<Door>);

/// The services behind the door.
#[derive(Clone)]
pub(super) struct Behind<S> {
    door: Arc<Door>,
    inner: S,
}

/// The certificate that a caller was proven by, where it was one.
#[derive(Clone)]
pub(super) struct ProvenBy(pub(super) Arc<ClientCertificate>);

/// What becomes of a call before anything is waited for.
enum Admission {
    Refused(Response),
    Admitted,
    /// The caller's credentials have to be checked first.
    Unknown,
}

impl<S> Layer<S> for DoorLayer {
    type Service = Behind<S>;

    fn layer(&self, inner: S) -> Behind<S> {
        Behind { door: Arc::clone(&self.0), inner }
    }
}

impl<S> Service<Request> for Behind<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // Not read to its end by whoever refuses it, here or behind, nor when its time is over.
        let mut request = drained(request);
        let identified = Identified::of(&self.door.paths, &mut request);
        let context = identified.context();
        let ours = complete::is_ours(request.uri().path());
        let question = is_question(&request);
        let begun = self.door.figures.as_ref().and_then(|figures| figures.begin(request.uri().path()));
        let traced = self.door.traces.as_ref();
        let traced = traced.and_then(|traces| traces.begin(request.uri().path(), request.headers()));
        let server = traced.as_ref().map_or_else(Span::none, TracedCall::span);
        let within = deadline::set(&mut request);
        let admission = context.within(|| server.in_scope(|| self.door.admit(&mut request)));
        let finish = move |response| {
            let response = if ours { complete::complete(response) } else { response };
            let response = if question {
                let server = traced.as_ref().map_or_else(Span::none, TracedCall::span);
                server.in_scope(|| authorization::complete(response))
            } else {
                response
            };
            let response = identified.end(response);
            let response = match begun {
                Some(begun) => follow(response, begun),
                None => response,
            };
            Ok(match traced {
                Some(traced) => follow(response, traced),
                None => response,
            })
        };
        match admission {
            Admission::Admitted => {
                let answer = context.within(|| server.in_scope(|| self.inner.call(request)));
                answer_in_time(context, answer.instrument(server), within, finish)
            }
            Admission::Unknown => {
                // The one that is ready is called, and its clone stays behind.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let answer = introduce(Arc::clone(&self.door), request, inner);
                answer_in_time(context, answer.instrument(server), within, finish)
            }
            Admission::Refused(response) => {
                drop(server);
                ready(context.within(|| finish(response))).boxed()
            }
        }
    }
}

fn answer_in_time(
    context: LogContext,
    answer: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
    within: Option<deadline::Within>,
    finish: impl FnOnce(Response) -> Result<Response, Infallible> + Send + 'static,
) -> BoxFuture<'static, Result<Response, Infallible>> {
    match within {
        None => context.follow(answer.and_then(|response| ready(finish(response)))).boxed(),
        Some(within) => {
            context.follow(within.keep(answer).and_then(|response| ready(finish(response)))).boxed()
        }
    }
}

impl Door {
    fn admit(&self, request: &mut Request) -> Admission {
        if is_question(request) {
            // A gateway proves itself in its own ways, and is told in its own words if it does not.
            return match self.gateways.known(&peer(request), request.uri(), request.headers()) {
                None => Admission::Unknown,
                Some(Err(error)) => Admission::Refused(authorization::refused(error)),
                Some(Ok(gateway)) => {
                    request.extensions_mut().insert(gateway);
                    Admission::Admitted
                }
            };
        }
        if self.only_local
            && let Err(refusal) = loopback::check(request.uri(), request.headers())
        {
            return Admission::Refused(loopback::refuse(request.headers(), refusal));
        }
        if authenticate::is_public(request.uri().path()) {
            public_streams::end_on_drain(&self.readiness, request);
            return Admission::Admitted;
        }
        let peer = request.extensions().get::<Peer>();
        if let Some(proof) = self.authenticator.by_certificate(peer, request.headers()) {
            let certificate = peer.and_then(|peer| peer.certificate.clone());
            return match proof.inspect_err(refusals::log) {
                Ok(caller) => {
                    if let Some(certificate) = certificate {
                        request.extensions_mut().insert(ProvenBy(certificate));
                    }
                    request.extensions_mut().insert(caller);
                    Admission::Admitted
                }
                Err(error) => Admission::Refused(error.into_status().into_http()),
            };
        }
        match self.authenticator.known(request.headers()) {
            Some(caller) => {
                request.extensions_mut().insert(caller);
                Admission::Admitted
            }
            None => Admission::Unknown,
        }
    }
}

/// Whether a gateway asks.
fn is_question(request: &Request) -> bool {
    request.uri().path().starts_with(authorization::PATHS)
}

fn peer(request: &Request) -> Peer {
    request.extensions().get().cloned().unwrap_or_default()
}

/// Finds out who calls before the call is let in.
async fn introduce<S>(door: Arc<Door>, mut request: Request, mut inner: S) -> Result<Response, Infallible>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    if is_question(&request) {
        return match door.gateways.over_grpc(&peer(&request), request.uri(), request.headers()).await {
            Ok(gateway) => {
                request.extensions_mut().insert(gateway);
                inner.call(request).await
            }
            Err(error) => Ok(authorization::refused(error)),
        };
    }
    let caller: Result<Arc<Caller>, ApiError> =
        authenticate::caller(&door.authenticator, request.headers()).await;
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            inner.call(request).await
        }
        Err(refusal) => Ok(refusal.into_status().into_http()),
    }
}
