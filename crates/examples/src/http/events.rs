//! `GET /v1/realtime/events`: a response body without an end. The interceptor ends it with its token, so there is nothing
//! about tokens in here.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::{Stream, StreamExt};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::IntervalStream;

const EVERY: Duration = Duration::from_millis(100);

/// Sends a line about ten times a second.
pub(super) async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lines = IntervalStream::new(ticks).enumerate().map(|(number, _)| format!("line {number}"));
    Sse::new(lines.map(|line| Ok(Event::default().data(line))))
}
