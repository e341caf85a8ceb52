//! A collector of traces: takes what is exported by OTLP over gRPC, and keeps all of it, to the byte.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::ROOMY;

/// A collector in this process. Gone when dropped.
#[derive(Debug)]
pub struct OtlpSink {
    kept: Kept,
    address: SocketAddr,
    server: AbortHandle,
}

#[derive(Clone, Debug)]
struct Kept {
    exports: Arc<Mutex<Vec<(MetadataMap, ExportTraceServiceRequest)>>>,
    /// How many there are.
    count: watch::Sender<usize>,
}

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Exported {
    /// What its process says of itself.
    pub resource: BTreeMap<String, String>,
    /// Its attributes, all as text.
    pub attributes: BTreeMap<String, String>,
    /// The whole.
    pub span: Span,
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let count = {
            let mut exports = self.exports.lock().expect("nobody panics with it");
            exports.push((metadata, message));
            exports.len()
        };
        self.count.send_replace(count);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl OtlpSink {
    /// Begins to listen.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let kept = Kept { exports: Arc::default(), count: watch::Sender::new(0) };
        let service = TraceServiceServer::new(kept.clone());
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(serving).abort_handle();
        Self { kept, address, server }
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps nothing of what has come.
    ///
    /// # Panics
    /// Never.
    pub fn forget(&self) {
        self.kept.exports.lock().expect("nobody panics with it").clear();
    }

    /// All spans that have come.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn spans(&self) -> Vec<Exported> {
        let exports = self.kept.exports.lock().expect("nobody panics with it");
        let resources = exports.iter().flat_map(|(_, export)| &export.resource_spans);
        let spans = resources.flat_map(|spans| {
            let resource = spans.resource.as_ref().map(|resource| texts(&resource.attributes));
            let resource = resource.unwrap_or_default();
            let all = spans.scope_spans.iter().flat_map(|scope| scope.spans.clone());
            all.map(move |span| Exported {
                resource: resource.clone(),
                attributes: texts(&span.attributes),
                span,
            })
        });
        spans.collect()
    }

    /// Waits until these have come.
    ///
    /// # Panics
    /// If they don't.
    pub async fn until(&self, have_come: impl Fn(&[Exported]) -> bool) -> Vec<Exported> {
        let mut count = self.kept.count.subscribe();
        let waited = timeout(ROOMY, count.wait_for(|_| have_come(&self.spans()))).await;
        assert!(waited.is_ok(), "not in time; there are\n{}", tree(&self.spans()));
        self.spans()
    }

    /// Every byte that has come, but for the headers.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let exports = self.kept.exports.lock().expect("nobody panics with it");
        exports.iter().flat_map(|(_, export)| export.encode_to_vec()).collect()
    }

    /// This header of the first export.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let exports = self.kept.exports.lock().expect("nobody panics with it");
        let (metadata, _) = exports.first()?;
        Some(metadata.get(name)?.to_str().ok()?.to_owned())
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Exported {
    /// An attribute, empty if it has none of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// The name of its service.
    #[must_use]
    pub fn service(&self) -> &str {
        self.resource.get("service.name").map_or("", String::as_str)
    }

    /// Whether it says that it failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
    }

    /// As the conventions write it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Internal => "internal",
            _ => "other",
        }
    }
}

/// Bytes as OpenTelemetry writes ids: hexadecimal, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The spans as trees, for people: each below its parent, by the time at which it began.
#[must_use]
pub fn tree(spans: &[Exported]) -> String {
    let known: HashMap<&[u8], &Exported> =
        spans.iter().map(|exported| (&exported.span.span_id[..], exported)).collect();
    let mut roots: Vec<&Exported> =
        spans.iter().filter(|exported| !known.contains_key(&exported.span.parent_span_id[..])).collect();
    roots.sort_by_key(|exported| exported.span.start_time_unix_nano);
    let mut text = String::new();
    for root in roots {
        branch(spans, root, 0, &mut text);
    }
    text
}

fn branch(spans: &[Exported], exported: &Exported, depth: usize, text: &mut String) {
    let Exported { attributes, span, .. } = exported;
    let attributes: Vec<String> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (indent, service, kind) = ("  ".repeat(depth), exported.service(), exported.kind());
    let line = format!("{indent}{} ({service}, {kind}) {}\n", span.name, attributes.join(" "));
    text.push_str(&line);
    let mut children: Vec<&Exported> =
        spans.iter().filter(|child| child.span.parent_span_id == span.span_id).collect();
    children.sort_by_key(|child| child.span.start_time_unix_nano);
    for child in children {
        branch(spans, child, depth + 1, text);
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is_so)) => is_so.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}
