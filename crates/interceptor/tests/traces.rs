//! What the current span is told of a request's token, and what it is not. Questions to a server are shown by the end-to-end tests.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use gatekey_interceptor::{FakeGatekey, TokenType};
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tower::ServiceExt;

#[tokio::test]
async fn a_span_is_told_the_token_s_id_and_type_or_why_it_is_refused() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = provider.tracer("test");
    let fake = FakeGatekey::start();
    let value = fake.token(TokenType::Batch).name("a-name").tenant("a-tenant").mint();
    let app = Router::new().route("/", get(async || "ok")).layer(fake.gatekey().layer(TokenType::Batch));
    let other = fake.token(TokenType::Realtime).mint();
    for (sent, status) in [(&value, 200), (&value, 200), (&other, 403), (&"nonsense".to_owned(), 401)] {
        let request = axum::http::Request::get("/").header("authorization", format!("Bearer {sent}"));
        let request = request.body(Body::empty()).expect("a request");
        let context = Context::current_with_span(tracer.start("request"));
        let answer = app.clone().oneshot(request).with_context(context.clone()).await.expect("an answer");
        // A flight that lands may hold it for a moment longer.
        context.span().end();
        assert_eq!(answer.status().as_u16(), status);
    }
    let spans = exporter.get_finished_spans().expect("they are kept");
    let told = |key: &'static str| -> Vec<Option<Value>> {
        let of = |attributes: &[opentelemetry::KeyValue]| {
            attributes.iter().find(|known| known.key.as_str() == key).map(|known| known.value.clone())
        };
        spans.iter().map(|span| of(&span.attributes)).collect()
    };
    let batch = Some(Value::from("batch"));
    assert_eq!(told("gatekey.token.type"), [batch.clone(), batch, None, None]);
    let ids = told("gatekey.token.id");
    assert!(ids[0].is_some() && ids[0] == ids[1] && ids[2].is_none(), "{ids:?}");
    let refusals = ["API_TOKEN_WRONG_TYPE", "API_TOKEN_INVALID"].map(|reason| Some(Value::from(reason)));
    assert_eq!(told("gatekey.refusal"), [None, None, refusals[0].clone(), refusals[1].clone()]);
    let all = format!("{spans:?}");
    for secret in [&value[..], &other, "a-name", "a-tenant"] {
        assert!(!all.contains(secret));
    }
}
