//! The server's spans of traces: one for each call and request, with what the caller says of its own trace (W3C Trace Context).
//!
//! What is in them is decided here, name by name: methods and routes that Gatekey has, codes, words of ours. Nothing that a caller
//! sent is: no header, path, query, name or address. `tracestate` alone is exported as it came: it is what tracing systems tell
//! each other. Names follow OpenTelemetry's semantic conventions.

mod context;
mod grpc;
mod http;

use gatekey_core::TRACES;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::field::Empty;
use tracing::{Span, info_span};

pub(crate) use context::apart;
pub(crate) use grpc::{Calls, TracedCall};
pub(crate) use http::{TracedRequest, begin};

/// While a caller's credentials are checked that are not known yet. Those that are take no time, and have no span. Nor has the
/// caller of a call that has none.
pub(crate) fn authenticating() -> Span {
    if !Context::map_current(TraceContextExt::has_active_span) {
        return Span::none();
    }
    info_span!(target: TRACES, "authenticate", "error.type" = Empty, "otel.status_code" = Empty)
}

/// Notes what a gateway was told, on the span of its question.
pub(crate) fn decided(decision: &'static str) {
    // Without traces there is none, or one of a library, which has no such field.
    Span::current().record("gatekey.decision", decision);
}
