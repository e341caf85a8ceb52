//! The service's traces: a span for each request, in the trace of who sent it, and on to Gatekey by the interceptor. As any service
//! sets up OpenTelemetry; of Gatekey's there is only the feature `opentelemetry` of the interceptor.

use http::Request;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_http::classify::{ServerErrorsAsFailures, SharedClassifier};
use tower_http::trace::{MakeSpan, TraceLayer};
use tracing::{Span, Subscriber, info_span};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Traces that are made and sent.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends them to this collector, by OTLP over gRPC. What `OTEL_*` says of the rest is respected.
    pub(crate) fn start(endpoint: &str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let resource = Resource::builder().with_service_name("transcribe").build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        // By these two the interceptor finds it.
        global::set_tracer_provider(provider.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Self(provider))
    }

    /// Takes spans from `tracing`.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        OpenTelemetryLayer::new(self.0.tracer("transcribe")).with_location(false).with_threads(false)
    }

    /// Sends what is left. Blocks for some seconds at the most.
    pub(crate) fn end(&self) {
        if let Err(cause) = self.0.shutdown() {
            tracing::warn!(%cause, "the last spans are not known to be sent");
        }
    }
}

/// A layer that opens a span for each request. It goes outside of the interceptor's, which tells the span of the token.
pub(crate) fn requests()
-> TraceLayer<SharedClassifier<ServerErrorsAsFailures>, RequestSpan, (), (), (), (), ()> {
    TraceLayer::new_for_http()
        .make_span_with(RequestSpan)
        .on_request(())
        .on_response(())
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

/// Makes the span of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestSpan;

impl<B> MakeSpan<B> for RequestSpan {
    fn make_span(&mut self, request: &Request<B>) -> Span {
        let method = request.method().as_str();
        // Of the path only what this service knows: it is a stranger's text.
        let route = crate::http::routes().find(|route| *route == request.uri().path());
        let name = route.map(|route| format!("{method} {route}"));
        let span = info_span!(
            "request",
            "otel.name" = name.as_deref().unwrap_or(method),
            "otel.kind" = "server",
            "http.request.method" = method,
            "http.route" = route,
        );
        let caller = global::get_text_map_propagator(|all| all.extract(&HeaderExtractor(request.headers())));
        // Without a layer of OpenTelemetry there is no trace to be a part of.
        span.set_parent(caller).ok();
        span
    }
}
