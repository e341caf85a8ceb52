//! The tower layer: the check before the handler, and the bodies that are ended with their token.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gatekey_access::{drain, hide, is_identity};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{Guard, Protocol, RequestBody, ResponseBody};
use crate::{Access, Gatekey, Refusal, Rule, VerifiedToken, traces};

/// Puts the check of API tokens in front of a service: see [`Gatekey::layer`].
#[derive(Clone, Debug)]
pub struct GatekeyLayer {
    check: Arc<Check>,
}

/// A service behind the check.
#[derive(Clone, Debug)]
pub struct GatekeyService<S> {
    inner: S,
    check: Arc<Check>,
}

#[derive(Debug)]
struct Check {
    gatekey: Gatekey,
    access: Access,
    strip: bool,
}

impl GatekeyLayer {
    pub(crate) fn new(gatekey: Gatekey, access: Access) -> Self {
        Self { check: Arc::new(Check { gatekey, access, strip: false }) }
    }

    /// Takes the `authorization` of a good token out of the request before the handler sees it. Without this it stays,
    /// marked as sensitive, so that `Debug` does not show it.
    #[must_use]
    pub fn strip_authorization(self) -> Self {
        let Check { gatekey, access, .. } = &*self.check;
        let check = Check { gatekey: gatekey.clone(), access: access.clone(), strip: true };
        Self { check: Arc::new(check) }
    }
}

impl<S> Layer<S> for GatekeyLayer {
    type Service = GatekeyService<S>;

    fn layer(&self, inner: S) -> GatekeyService<S> {
        GatekeyService { inner, check: Arc::clone(&self.check) }
    }
}

impl<S, B, R> Service<Request<B>> for GatekeyService<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
    B: Body + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture<S, B> {
        let protocol = protocol(&request);
        remove_identity(request.headers_mut());
        let check = &self.check;
        let rule = match check.access.rule(request.method(), request.uri().path()) {
            Ok(Rule::Public) => {
                let request = request.map(|body| RequestBody::new(body, None));
                return ResponseFuture::handled(self.inner.call(request), None, protocol);
            }
            Ok(rule) => rule,
            Err(refusal) => {
                check.gatekey.unruled(request.uri().path());
                return ResponseFuture::refused(request, refusal, protocol);
            }
        };
        match check.gatekey.find(request.headers(), rule) {
            Ok(Found::Token(token)) => {
                let request = admit(request, &token, protocol, check.strip);
                ResponseFuture::handled(self.inner.call(request), Some(token), protocol)
            }
            Ok(Found::Missed(verified)) => {
                // The inner service that was made ready goes along, and a clone takes its place.
                let clone = self.inner.clone();
                let service = std::mem::replace(&mut self.inner, clone);
                let strip = check.strip;
                ResponseFuture {
                    protocol,
                    state: State::Verifying { verified, waiting: Some((service, request)), strip },
                }
            }
            Err(refusal) => ResponseFuture::refused(request, refusal, protocol),
        }
    }
}

/// `NamedService` lets a single tonic service be wrapped and added to a server, with a rule of its own.
impl<S: tonic::server::NamedService> tonic::server::NamedService for GatekeyService<S> {
    const NAME: &'static str = S::NAME;
}

/// What became of a token at once.
pub(crate) enum Found {
    Token(VerifiedToken),
    /// A server has to be asked.
    Missed(Verifying),
}

impl Found {
    pub(crate) async fn token(self) -> Result<VerifiedToken, Refusal> {
        match self {
            Self::Token(token) => Ok(token),
            Self::Missed(verified) => verified.await,
        }
    }
}

/// A verification under way.
pub(crate) type Verifying = Pin<Box<dyn Future<Output = Result<VerifiedToken, Refusal>> + Send>>;

pin_project! {
    /// The future of [`GatekeyService`].
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        protocol: Protocol,
        #[pin]
        state: State<S, S::Future, B>,
    }
}

pin_project! {
    #[project = StateOf]
    enum State<S, F, B> {
        Refused { refusal: Refusal },
        Verifying { verified: Verifying, waiting: Option<(S, Request<B>)>, strip: bool },
        Handled { #[pin] handled: F, token: Option<VerifiedToken> },
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body + Send + 'static,
{
    fn handled(handled: S::Future, token: Option<VerifiedToken>, protocol: Protocol) -> Self {
        Self { protocol, state: State::Handled { handled, token } }
    }

    fn refused(request: Request<B>, refusal: Refusal, protocol: Protocol) -> Self {
        drain(request);
        Self { protocol, state: State::Refused { refusal } }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    B: Body + Send + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let protocol = *this.protocol;
        loop {
            match this.state.as_mut().project() {
                StateOf::Refused { refusal } => return Poll::Ready(Ok(answer(*refusal, protocol))),
                StateOf::Verifying { verified, waiting, strip } => {
                    let verified = ready!(verified.as_mut().poll(context));
                    let (mut service, request) =
                        waiting.take().expect("a future is not polled after it is ready");
                    let token = match verified {
                        Ok(token) => token,
                        Err(refusal) => {
                            drain(request);
                            return Poll::Ready(Ok(answer(refusal, protocol)));
                        }
                    };
                    let request = admit(request, &token, protocol, *strip);
                    let handled = service.call(request);
                    this.state.set(State::Handled { handled, token: Some(token) });
                }
                StateOf::Handled { handled, token } => {
                    let response = ready!(handled.poll(context))?;
                    let Some(token) = token.take() else {
                        return Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, None))));
                    };
                    // A handler that could not read on says so in its own words: the reason is ours.
                    let failed = response.status().is_client_error() || response.status().is_server_error();
                    if protocol == Protocol::Http
                        && failed
                        && let Some(ended) = token.ended()
                    {
                        return Poll::Ready(Ok(answer(ended.refusal(), protocol)));
                    }
                    let guard = Guard::new(token.revoked(), protocol);
                    return Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, Some(guard)))));
                }
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<RequestBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// The handler may see the request: with its token, and with a body that ends with it.
fn admit<B>(
    mut request: Request<B>,
    token: &VerifiedToken,
    protocol: Protocol,
    strip: bool,
) -> Request<RequestBody<B>> {
    traces::verified(token);
    if strip {
        request.headers_mut().remove(AUTHORIZATION);
    } else {
        hide(request.headers_mut());
    }
    request.extensions_mut().insert(token.clone());
    let guard = Guard::new(token.revoked(), protocol);
    request.map(|body| RequestBody::new(body, Some(guard)))
}

fn answer<R>(refusal: Refusal, protocol: Protocol) -> Response<ResponseBody<R>> {
    traces::refused(refusal);
    match protocol {
        Protocol::Grpc => refusal.to_grpc(),
        Protocol::Http => refusal.to_http(),
    }
}

/// gRPC is a POST, and says so by its content type: `application/grpc`, with or without a suffix.
fn protocol<B>(request: &Request<B>) -> Protocol {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let is_grpc = match kind.strip_prefix(b"application/grpc") {
        Some([] | [b'+' | b';' | b'-', ..]) => request.method() == Method::POST,
        _ => false,
    };
    if is_grpc { Protocol::Grpc } else { Protocol::Http }
}

/// A client can't say who it is by the headers in which gateways do.
fn remove_identity(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| is_identity(name.as_str())) {
        return;
    }
    let forged: Vec<_> = headers.keys().filter(|name| is_identity(name.as_str())).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
