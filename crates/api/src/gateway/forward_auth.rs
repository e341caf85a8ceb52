//! `/forward-auth`: the question over HTTP, as nginx's `auth_request` and the `forward_auth` of Caddy and Traefik ask it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::any;
use gatekey_access::Refusal;
use gatekey_core::{Call, Tokens};
use gatekey_model::Token;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};

use super::{Gateways, NOT_A_GATEWAY, answer, count, count_as, identity};
use crate::call_id::CallId;
use crate::connections::Peer;
use crate::convert;

/// Where it is served.
pub(crate) const PATH: &str = "/forward-auth";

const ASKER: &str = "forward_auth";

/// What the handler needs.
#[derive(Clone)]
struct ForwardAuth {
    tokens: Tokens,
    gateways: Gateways,
    type_header: Option<HeaderName>,
}

/// The route, for every method: some gateways ask with that of the original request.
pub(crate) fn router(tokens: Tokens, gateways: Gateways, type_header: Option<HeaderName>) -> Router {
    Router::new().route(PATH, any(ask)).with_state(ForwardAuth { tokens, gateways, type_header })
}

async fn ask(State(forward_auth): State<ForwardAuth>, request: Request) -> Response {
    // Whatever the body is, nothing of it matters.
    let (request, _) = request.into_parts();
    let mut response = match decide(&forward_auth, &request).await {
        Ok(token) => allowed(&token),
        Err(refusal) => refusal.to_http(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn decide(forward_auth: &ForwardAuth, request: &Parts) -> Result<Arc<Token>, Refusal> {
    let ForwardAuth { tokens, gateways, type_header } = forward_auth;
    let peer = request.extensions.get::<ConnectInfo<Peer>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.clone()).unwrap_or_default();
    // Nothing of the request is believed before: not even which rule it is about.
    let proof = gateways.over_http(&peer, &request.uri, &request.headers).await;
    let caller = proof.map_err(|_| {
        count_as(ASKER, NOT_A_GATEWAY);
        Refusal::Unverifiable
    })?;
    let Some(CallId(id)) = request.extensions.get().cloned() else { return Err(Refusal::Unverifiable) };
    let call = Call { caller, id, deadline: None };
    let question = convert::forward_auth::question(&request.uri, &request.headers, type_header.as_ref());
    let decision = answer(tokens, &call, question).await;
    count(ASKER, &decision);
    decision
}

fn allowed(token: &Token) -> Response {
    let mut response = Response::new(Body::empty());
    for (name, value) in identity(token).headers() {
        let value = HeaderValue::try_from(value).expect("all of it is visible ASCII; a test says so");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
