//! Traces: spans to a collector by OTLP over gRPC, if `--otlp-endpoint` says where. Without it nothing of this is installed, and
//! nothing is asked of OpenTelemetry.
//!
//! Which spans there are and what is in them is decided where they are made, in `gatekey-core` and `gatekey-api`; those of the store
//! are made in `store.rs`.

mod bounded;
mod sampler;
mod store;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use gatekey_core::{Store, TRACES};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Tracer};
use tonic::transport::ClientTlsConfig;
use tracing::{Subscriber, warn};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::Failure;
use crate::config::{Config, StoreConfig};
use bounded::{Bounded, Reported, Tally};
use store::TracedStore;

pub(crate) use sampler::{Sampling, sampling};

/// How many spans wait for the collector, unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const QUEUE: usize = 2_048;
/// How long the end waits for the last spans to be sent.
const FLUSH: Duration = Duration::from_secs(3);

/// Where traces go, as it was checked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) sampling: Sampling,
}

/// Traces that are made and sent. They end with [`Self::end`].
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Makes traces from now on, if they are to go anywhere.
    ///
    /// # Errors
    /// If the exporter can't be set up. A collector that is away is no error.
    pub(crate) fn install(config: &Config) -> Result<Option<Self>, Failure> {
        let Some(endpoint) = &config.traces else { return Ok(None) };
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint.url);
        let exporter = if endpoint.url.starts_with("https:") {
            exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
        } else {
            exporter
        };
        let exporter = exporter.build().map_err(|cause| Failure::run("--otlp-endpoint", cause))?;
        let queue = env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().and_then(|text| text.parse().ok());
        let queue = queue.filter(|size| *size > 0).unwrap_or(QUEUE);
        let tally = Arc::new(Tally::new(queue));
        // What else OTEL_BSP_* says is read by the builder.
        let batches = BatchSpanProcessor::builder(Reported::new(exporter, Arc::clone(&tally)))
            .with_batch_config(BatchConfigBuilder::default().with_max_queue_size(queue).build())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(batches, tally))
            .with_sampler(endpoint.sampling.sampler())
            .with_resource(resource())
            .build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Some(Self { provider }))
    }

    /// What takes spans of traces, and nothing else, from `tracing`.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer: Tracer = self.provider.tracer("gatekey");
        // Only what a span says itself: no source files, threads or timings of ours.
        OpenTelemetryLayer::new(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false)
            .with_filter(filter_fn(|metadata| metadata.target() == TRACES))
    }

    /// The store, with a span for what calls ask of it.
    pub(crate) fn store(store: Arc<dyn Store>, config: &StoreConfig) -> Arc<dyn Store> {
        Arc::new(TracedStore::new(store, config))
    }

    /// Sends what is left, for a bounded time.
    pub(crate) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH)).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => warn!(%cause, "the last spans are not known to be sent"),
            Err(cause) => warn!(%cause, "the last spans are not sent"),
        }
    }
}

/// What is said of this process with its spans. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go first.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let unless_said = |key: &'static str, value: String| {
        let is_said = said
            .get(&Key::from_static_str(key))
            .is_some_and(|value| !value.as_str().starts_with("unknown_service"));
        (!is_said).then(|| KeyValue::new(key, value))
    };
    let ours = [
        unless_said("service.name", "gatekey".to_owned()),
        unless_said("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        unless_said("service.instance.id", uuid::Uuid::new_v4().to_string()),
    ];
    Resource::builder().with_attributes(ours.into_iter().flatten()).build()
}
