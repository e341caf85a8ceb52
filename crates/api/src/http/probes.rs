//! The probes: `/livez` and `/readyz`.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use crate::Readiness;

pub(super) const PATHS: [&str; 2] = ["/livez", "/readyz"];

pub(super) fn router(readiness: Readiness) -> Router {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).with_state(readiness)
}

async fn live(State(readiness): State<Readiness>) -> Response {
    probe(readiness.phase().is_live(), readiness.phase().as_str())
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    probe(readiness.phase().is_ready(), readiness.phase().as_str())
}

fn probe(good: bool, text: &'static str) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = if good { "ok\n".to_owned() } else { format!("{text}\n") };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}
