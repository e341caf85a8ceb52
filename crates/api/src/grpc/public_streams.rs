//! Ends the streams of public services when the server drains, so that they do not hold it up. Health
//! watches end by themselves; a reflection stream ends when its requests do.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;

use super::authenticate::is_public;
use crate::{Phase, Readiness};

pub(super) async fn end_on_drain(
    State(readiness): State<Readiness>,
    request: Request,
    next: Next,
) -> Response {
    if !is_public(request.uri().path()) {
        return next.run(request).await;
    }
    let mut phases = readiness.follow();
    let draining = async move {
        // An error means that nobody is left to change the phase: the end, too.
        phases.wait_for(|phase| *phase == Phase::Draining).await.ok();
    };
    let request =
        request.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(draining))));
    next.run(request).await
}
