//! Ends the streams of public services when the server drains, so that they do not hold it up. Health
//! watches end by themselves; a reflection stream ends when its requests do.

use axum::body::Body;
use axum::extract::Request;
use futures_util::StreamExt;

use crate::{Phase, Readiness};

pub(super) fn end_on_drain(readiness: &Readiness, request: &mut Request) {
    let mut phases = readiness.follow();
    let draining = async move {
        // An error means that nobody is left to change the phase: the end, too.
        phases.wait_for(|phase| *phase == Phase::Draining).await.ok();
    };
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::from_stream(body.into_data_stream().take_until(Box::pin(draining)));
}
