//! The way of spans to the collector, with a bound: what waits is no more than the queue, and no call ever waits. What is lost is
//! counted, and told in the log at most once a minute.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tracing::{info, warn};

/// Between two lines about lost spans lies at least this much.
const PAUSE: Duration = Duration::from_mins(1);

/// What waits, and what is lost.
#[derive(Debug)]
pub(super) struct Tally {
    queue: usize,
    waiting: AtomicUsize,
    /// Lost since the last line about it, because too many waited.
    dropped: AtomicU64,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Lost since the last line about it, because the collector did not take them.
    failed: u64,
    /// Whether the last batch was lost.
    failing: bool,
    told: Option<Instant>,
}

impl Tally {
    /// With room for so many spans.
    pub(super) fn new(queue: usize) -> Self {
        Self { queue, waiting: AtomicUsize::new(0), dropped: AtomicU64::new(0), trouble: Mutex::default() }
    }

    /// Takes a place in the queue, if there is one.
    fn enter(&self) -> bool {
        let next = |waiting: usize| (waiting < self.queue).then_some(waiting + 1);
        let entered = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok();
        if !entered {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            count("dropped", 1);
        }
        entered
    }

    /// So many spans have left the queue: the collector took them, or they are lost.
    fn leave(&self, spans: usize, outcome: &OTelSdkResult, now: Instant) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        count(if outcome.is_ok() { "sent" } else { "failed" }, spans);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let recovered = outcome.is_ok() && trouble.failing;
        trouble.failing = outcome.is_err();
        if trouble.failing {
            trouble.failed = trouble.failed.saturating_add(spans);
        }
        let is_due = trouble.told.is_none_or(|told| now.saturating_duration_since(told) >= PAUSE);
        let lost = trouble.failed > 0 || self.dropped.load(Ordering::Relaxed) > 0;
        if lost && (is_due || recovered) {
            trouble.told = Some(now);
            let failed = std::mem::take(&mut trouble.failed);
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            match outcome {
                Ok(()) => info!(
                    failed,
                    dropped, "spans were lost: too many waited, or the collector did not take them"
                ),
                Err(cause) => {
                    // Whatever stands in between may have written it.
                    let cause = cause.to_string().replace(char::is_control, " ");
                    warn!(failed, dropped, cause, "spans are lost: the collector does not take them");
                }
            }
        }
    }
}

fn count(outcome: &'static str, spans: u64) {
    counter!("gatekey_trace_spans_total", "outcome" => outcome).increment(spans);
}

/// Lets no more spans into the queue than it has room for.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    inner: P,
    tally: Arc<Tally>,
}

impl<P> Bounded<P> {
    pub(super) const fn new(inner: P, tally: Arc<Tally>) -> Self {
        Self { inner, tally }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // Nobody takes the others out of the queue.
        if span.span_context.is_sampled() && self.tally.enter() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what became of each batch.
#[derive(Debug)]
pub(super) struct Reported<E> {
    inner: E,
    tally: Arc<Tally>,
}

impl<E> Reported<E> {
    pub(super) const fn new(inner: E, tally: Arc<Tally>) -> Self {
        Self { inner, tally }
    }
}

impl<E: SpanExporter> SpanExporter for Reported<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.inner.export(batch).await;
        self.tally.leave(spans, &outcome, Instant::now());
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_sdk::error::OTelSdkError;

    #[test]
    fn no_more_wait_than_there_is_room_for_and_the_others_are_counted() {
        let tally = Tally::new(3);
        assert_eq!([(); 5].map(|()| tally.enter()), [true, true, true, false, false]);
        assert_eq!(tally.dropped.load(Ordering::Relaxed), 2);
        let now = Instant::now();
        tally.leave(2, &Err(OTelSdkError::InternalFailure("no".to_owned())), now);
        assert_eq!(tally.dropped.load(Ordering::Relaxed), 0, "told");
        assert_eq!([(); 3].map(|()| tally.enter()), [true, true, false]);
    }

    #[test]
    fn a_loss_is_told_once_a_minute_and_when_it_is_over() {
        let tally = Tally::new(100);
        let untold = || tally.trouble.lock().expect("nobody panics with it").failed;
        let failed = Err(OTelSdkError::InternalFailure("no".to_owned()));
        let start = Instant::now();
        for _ in 0..9 {
            assert!(tally.enter());
        }
        tally.leave(1, &failed, start);
        assert_eq!(untold(), 0, "the first at once");
        tally.leave(2, &failed, start + PAUSE / 2);
        tally.leave(2, &failed, start + PAUSE / 2);
        assert_eq!(untold(), 4);
        tally.leave(1, &failed, start + PAUSE);
        assert_eq!(untold(), 0);
        tally.leave(1, &failed, start + PAUSE);
        assert_eq!(untold(), 1);
        tally.leave(2, &Ok(()), start + PAUSE);
        assert_eq!(untold(), 0, "it is over");
        assert_eq!(tally.waiting.load(Ordering::Relaxed), 0);
    }
}
