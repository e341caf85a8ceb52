//! What a caller says of its trace: `traceparent` and `tracestate`. What does not hold to W3C Trace Context counts as nothing, and
//! a new trace begins.

use std::borrow::Cow;

use http::HeaderMap;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// The most of `tracestate` that is kept, in bytes: what the recommendation asks for at least.
const MAX_STATE: usize = 512;

/// The two headers.
struct Said<'a> {
    parent: Option<&'a str>,
    state: Option<Cow<'a, str>>,
}

impl<'a> Said<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let mut parents = headers.get_all(PARENT).iter();
        // Two parents are none.
        let parent =
            parents.next().filter(|_| parents.next().is_none()).and_then(|value| value.to_str().ok());
        let mut states = headers.get_all(STATE).iter().map(|value| value.to_str().ok());
        let state = states.next().flatten().map(Cow::Borrowed).and_then(|first| {
            // Several are one list.
            states.try_fold(first, |list, next| Some(Cow::Owned(format!("{list},{}", next?))))
        });
        Self { parent, state: state.filter(|state| state.len() <= MAX_STATE) }
    }
}

impl Extractor for Said<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            PARENT => self.parent,
            STATE => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT, STATE]
    }
}

/// Makes a new span, which has not been entered, a part of the caller's trace, if the caller has one.
pub(super) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if !headers.contains_key(PARENT) {
        return;
    }
    let context = global::get_text_map_propagator(|w3c| w3c.extract(&Said::read(headers)));
    if context.span().span_context().is_valid() {
        // It fails where no traces are made: then nothing is lost.
        span.set_parent(context).ok();
    }
}

/// Makes a new span, which is to have no parent of its own, a part of the current trace without keeping the current span open: for
/// what may go on when whoever began it has gone away.
/// There is none without a current trace.
pub(crate) fn apart(span: impl FnOnce() -> Span) -> Span {
    if !Context::map_current(TraceContextExt::has_active_span) {
        return Span::none();
    }
    let span = span();
    span.set_parent(Context::current()).ok();
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(said: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, HeaderValue::from_str(value).expect("ASCII"));
        }
        headers
    }

    #[test]
    fn two_parents_are_none_and_several_states_are_one_list() {
        let one = headers(&[(PARENT, "a"), (STATE, "x=1"), (STATE, "y=2")]);
        assert_eq!((Said::read(&one).get(PARENT), Said::read(&one).get(STATE)), (Some("a"), Some("x=1,y=2")));
        let two = headers(&[(PARENT, "a"), (PARENT, "b")]);
        assert_eq!(Said::read(&two).get(PARENT), None);
        let none = headers(&[]);
        assert_eq!((Said::read(&none).get(PARENT), Said::read(&none).get("authorization")), (None, None));
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let long = "x".repeat(MAX_STATE / 2);
        let fits = headers(&[(PARENT, "a"), (STATE, &"x".repeat(MAX_STATE))]);
        assert!(Said::read(&fits).get(STATE).is_some());
        let over = headers(&[(PARENT, "a"), (STATE, &long), (STATE, &long)]);
        assert_eq!((Said::read(&over).get(PARENT), Said::read(&over).get(STATE)), (Some("a"), None));
    }
}
