//! With the feature `opentelemetry`.

use gatekey_access::code_name;
use opentelemetry::propagation::Injector;
use opentelemetry::trace::{
    FutureExt, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, WithContext, get_active_span,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};
use tonic::Code;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};

use crate::{Refusal, VerifiedToken};

const METHOD: &str = "gatekey.v1.TokenService/VerifyToken";
/// What Gatekey reads. A service may propagate more, as baggage, which is nothing to Gatekey.
const TRACE_CONTEXT: [&str; 2] = ["traceparent", "tracestate"];

/// Work on another thread, in the trace of who begins it.
pub(crate) fn current<F: Future>(work: F) -> WithContext<F> {
    work.with_current_context()
}

/// Tells the current span whose token is good. Neither its name nor its key: they are its tenant's affair.
#[inline]
pub(crate) fn verified(token: &VerifiedToken) {
    get_active_span(|span| {
        if span.is_recording() {
            span.set_attribute(KeyValue::new("gatekey.token.id", token.id()));
            span.set_attribute(KeyValue::new("gatekey.token.type", token.token_type().as_str()));
        }
    });
}

/// Tells the current span why the request is refused.
pub(crate) fn refused(refusal: Refusal) {
    get_active_span(|span| {
        if span.is_recording() {
            span.set_attribute(KeyValue::new("gatekey.refusal", refusal.reason()));
        }
    });
}

/// The span of a question to one server. Without a current trace there is none.
pub(crate) struct Question(Option<Context>);

impl Question {
    /// Begins it, at the server of this name.
    pub(crate) fn begin(host: &str, port: u16) -> Self {
        let caller = Context::current();
        if !caller.has_active_span() {
            return Self(None);
        }
        let scope =
            InstrumentationScope::builder("gatekey-interceptor").with_version(env!("CARGO_PKG_VERSION"));
        let tracer = global::tracer_with_scope(scope.build());
        let builder = SpanBuilder::from_name(METHOD).with_kind(SpanKind::Client).with_attributes([
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", METHOD),
            KeyValue::new("server.address", host.to_owned()),
            KeyValue::new("server.port", i64::from(port)),
        ]);
        let span = tracer.build_with_context(builder, &caller);
        Self(Some(caller.with_span(span)))
    }

    /// Tells the server of the trace.
    pub(crate) fn inject(&self, metadata: &mut MetadataMap) {
        if let Some(context) = &self.0 {
            global::get_text_map_propagator(|all| all.inject_context(context, &mut Carrier(metadata)));
        }
    }

    /// It was answered so, or not at all.
    pub(crate) fn end(self, code: Code) {
        let Some(context) = self.0 else { return };
        let span = context.span();
        let name = code_name(code);
        span.set_attribute(KeyValue::new("rpc.response.status_code", name));
        if code != Code::Ok {
            span.set_attribute(KeyValue::new("error.type", name));
            // Messages may have anybody's text.
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

struct Carrier<'a>(&'a mut MetadataMap);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty one says nothing.
        if !TRACE_CONTEXT.contains(&key) || value.is_empty() {
            return;
        }
        if let (Ok(key), Ok(value)) = (AsciiMetadataKey::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_trace_goes_to_the_server() {
        let mut metadata = MetadataMap::new();
        let mut carrier = Carrier(&mut metadata);
        carrier.set("traceparent", "00-a-b-01".to_owned());
        carrier.set("tracestate", String::new());
        carrier.set("baggage", "customer=7".to_owned());
        let sent: Vec<_> = metadata.iter().collect();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(metadata.get("traceparent").expect("sent"), "00-a-b-01");
    }

    #[test]
    fn without_a_trace_there_is_no_span() {
        let question = Question::begin("gatekey", 50_051);
        assert!(question.0.is_none());
        let mut metadata = MetadataMap::new();
        question.inject(&mut metadata);
        assert!(metadata.is_empty());
    }

    #[test]
    fn codes_are_written_as_the_protocol_has_them() {
        for number in 0..=16 {
            let code = Code::from_i32(number);
            assert_eq!(code_name(code).replace('_', "").to_lowercase(), format!("{code:?}").to_lowercase());
        }
    }
}
