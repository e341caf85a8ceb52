//! The REST API: `/api/v3`. The same use cases as over gRPC; what differs is how requests are read and answers written.

mod body;
pub(crate) mod messages;
mod openapi;
mod tokens;
mod user;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gatekey_core::Tokens;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::cors::CorsLayer;

use crate::http::{CrossSite, Doorkeeper};

/// Where it is served.
pub(crate) const PREFIX: &str = "/api/v3";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the handlers need.
#[derive(Clone)]
struct Rest {
    tokens: Tokens,
    doorkeeper: Doorkeeper,
    cross_site: CrossSite,
}

/// The routes below [`PREFIX`].
pub(crate) fn router(tokens: Tokens, doorkeeper: Doorkeeper, cors_origins: &[HeaderValue]) -> Router {
    let rest = Rest { tokens, doorkeeper, cross_site: CrossSite::allowing(cors_origins) };
    let allow =
        |methods: &'static str| move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, methods)]) };
    let router = Router::new()
        .route("/tokens", get(tokens::list).post(tokens::create).options(allow("GET, HEAD, POST, OPTIONS")))
        .route("/tokens/{id}", axum::routing::delete(tokens::delete).options(allow("DELETE, OPTIONS")))
        .route("/user", get(user::user).options(allow("GET, HEAD, OPTIONS")))
        .route("/openapi.json", get(openapi::document).options(allow("GET, HEAD, OPTIONS")))
        .with_state(rest);
    if cors_origins.is_empty() { router } else { router.layer(cors(cors_origins)) }
}

/// For pages of these origins. They send the JWT themselves: cookies are not for them.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, IDEMPOTENCY_KEY, REQUEST_ID])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(std::time::Duration::from_hours(1))
}

/// The paths that logs may show, below this one; behind a slash at the end stands a number.
pub(crate) fn known_paths(base: &str) -> impl Iterator<Item = String> {
    ["/tokens", "/tokens/", "/user", "/openapi.json"]
        .map(|path| format!("{base}{}{path}", &PREFIX[1..]))
        .into_iter()
}

/// JSON that nobody may keep.
fn private(status: StatusCode, body: &impl serde::Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

type Context = State<Rest>;
