//! The span of a request over HTTP: OpenTelemetry's conventions for HTTP servers. Probes have none.

use gatekey_core::TRACES;
use http::{HeaderMap, StatusCode};
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::context::continue_trace;

/// A request that has begun. If nothing ends it, its caller went away, and it has no status.
pub(crate) struct TracedRequest {
    span: Span,
}

/// Opens the span of a request. `route` is the route's template, and `path` what of the path may be shown; neither, where Gatekey
/// has no such route.
pub(crate) fn begin(
    method: &'static str,
    route: Option<&str>,
    path: Option<&str>,
    headers: &HeaderMap,
) -> TracedRequest {
    // An unknown method has another name in the span's name than in its attribute.
    let verb = if method == "_OTHER" { "HTTP" } else { method };
    let name = route.map(|route| format!("{verb} {route}"));
    let span = info_span!(
        target: TRACES,
        parent: None,
        "request",
        "otel.name" = name.as_deref().unwrap_or(verb),
        "otel.kind" = "server",
        "http.request.method" = method,
        "http.route" = route,
        "url.path" = path,
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
        "gatekey.decision" = Empty,
    );
    continue_trace(&span, headers);
    TracedRequest { span }
}

impl TracedRequest {
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// It is answered.
    pub(crate) fn end(self, status: StatusCode) {
        self.span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.span.record("error.type", status.as_str());
            self.span.record("otel.status_code", "ERROR");
        }
    }
}
