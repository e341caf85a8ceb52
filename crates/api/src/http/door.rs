//! What every call of the HTTP port passes through: its id and span, and headers for browsers. And who calls, for those
//! routes that ask.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use gatekey_core::{Call, Caller};
use gatekey_proto::v1::ErrorReason;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use metrics::histogram;
use tracing::{Instrument, Span};

use super::sign_in::DevelopmentSignIn;
use super::{Settings, probes};
use crate::auth::{bearer, refusals};
use crate::call_id::{CallId, Identified, KnownPaths};
use crate::connections::Peer;
use crate::drained::drained;
use crate::gateway::forward_auth;
use crate::traces::{self, TracedRequest};
use crate::{ApiError, Authenticator, console, rest};

/// Finds out who calls over HTTP.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    authenticator: Arc<Authenticator>,
    jwt_header: Option<HeaderName>,
    development: Option<DevelopmentSignIn>,
}

impl Doorkeeper {
    pub(super) fn new(
        authenticator: Arc<Authenticator>,
        settings: &Settings,
        development: Option<&DevelopmentSignIn>,
    ) -> Self {
        Self { authenticator, jwt_header: settings.jwt_header.clone(), development: development.cloned() }
    }

    /// Who calls: by the configured header, else by `authorization`, else, in development mode, by the cookie of the
    /// sign-in page, else by the certificate of the connection.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Arc<Caller>, ApiError> {
        self.find(headers, extensions).await.inspect_err(refusals::log)
    }

    async fn find(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Arc<Caller>, ApiError> {
        if let Some(name) = &self.jwt_header
            && let Some(jwt) = bearer::forwarded(headers, name)?
        {
            return self.authenticator.caller_by(jwt).await;
        }
        if let Some(development) = &self.development
            && !headers.contains_key(header::AUTHORIZATION)
            && let Some(jwt) = development.jwt(headers)
        {
            return self.authenticator.caller_by(jwt).await;
        }
        // Where something in front says who is signed in, its own certificate must not speak for those who are not.
        let peer = extensions.get::<ConnectInfo<Peer>>().filter(|_| self.jwt_header.is_none());
        let peer = peer.map(|ConnectInfo(peer)| peer);
        match self.authenticator.by_certificate(peer, headers) {
            Some(proof) => proof,
            None => self.authenticator.caller(headers).await,
        }
    }

    /// The call of a request: who calls, and by which id.
    pub(crate) async fn call(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Call, ApiError> {
        let caller = self.caller(headers, extensions).await?;
        let Some(CallId(id)) = extensions.get().cloned() else {
            tracing::error!("a call reached its handler without an id");
            return Err(ApiError::new(ErrorReason::Internal));
        };
        Ok(Call { caller, id, deadline: None })
    }
}

/// Puts the door around the routes.
pub(super) fn around(router: Router, base: &str, traces: bool) -> Router {
    let paths = probes::PATHS.map(str::to_owned).into_iter();
    let paths: KnownPaths = paths
        .chain([forward_auth::PATH.to_owned()])
        .chain(rest::known_paths("/"))
        .chain(rest::known_paths(base))
        .chain(console::known_paths(base))
        .collect();
    router.layer(from_fn(move |mut request: Request, next: Next| {
        let paths = paths.clone();
        async move {
            let identified = Identified::of(&paths, &mut request);
            let mut begun = Begun {
                at: Instant::now(),
                route: paths.route(request.uri().path()).to_owned(),
                method: method(request.method()),
                status: None,
            };
            let traced = traces.then(|| trace(&paths, &request)).flatten();
            let server = traced.as_ref().map_or_else(Span::none, TracedRequest::span);
            let request = drained(request);
            let response = identified.context().follow(next.run(request).instrument(server)).await;
            begun.status = Some(response.status());
            drop(begun);
            if let Some(traced) = traced {
                traced.end(response.status());
            }
            identified.end(for_browsers(response))
        }
    }))
}

/// Opens the span of a request's trace. Probes have none.
fn trace(paths: &KnownPaths, request: &Request) -> Option<TracedRequest> {
    let path = request.uri().path();
    if probes::PATHS.contains(&path) {
        return None;
    }
    let (route, path) = paths.template(path).unzip();
    Some(traces::begin(method(request.method()), route.as_deref(), path, request.headers()))
}

/// A request that has begun, to be recorded when it ends: without a status if its caller went away first.
struct Begun {
    at: Instant,
    route: String,
    method: &'static str,
    status: Option<StatusCode>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let status = self.status.as_ref().map_or("", StatusCode::as_str).to_owned();
        let labels = [
            ("http_request_method", self.method.to_owned()),
            ("http_route", std::mem::take(&mut self.route)),
            ("http_response_status_code", status),
        ];
        histogram!("http_server_request_duration_seconds", &labels).record(self.at.elapsed());
    }
}

/// As OpenTelemetry names methods: what a stranger made up is one of them.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// No guessing of types, no frames, nothing to other sites. What is for people has a policy of its own.
fn for_browsers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}
