//! The layer in front of a handler that says what it sees.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;

use super::*;
use crate::listening::Listening;
use crate::{FakeGatekey, TokenType};

type Sent = Request<Full<Bytes>>;

/// Answers with the token's key, and which of the headers it was shown.
async fn handler<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.extensions().get::<VerifiedToken>();
    let key = token.map_or("nobody", |token| token.key()).to_owned();
    let headers: Vec<String> =
        request.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    Ok(Response::new(Full::from(format!("{key} | {}", headers.join(", ")))))
}

fn get(path: &str, headers: &[(&str, &str)]) -> Sent {
    let mut request = Request::builder().method(Method::GET).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).expect("a request")
}

fn bearer_of(value: &str) -> String {
    format!("Bearer {value}")
}

async fn call(layer: &GatekeyLayer, request: Sent) -> (StatusCode, HeaderMap, String) {
    let service = layer.layer(tower::service_fn(handler::<RequestBody<Full<Bytes>>>));
    let response = service.oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("whole").to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_at_once_and_after_a_verification() {
    let fake = FakeGatekey::start();
    let value = fake.token(TokenType::Batch).mint();
    let layer = fake.gatekey().layer(TokenType::Batch);
    for _ in ["verified", "cached"] {
        let (status, _, body) = call(&layer, get("/", &[("authorization", &bearer_of(&value))])).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.starts_with(&value[..13]), "{body}");
        assert!(!body.contains(&value), "the handler's `Debug` of the headers shows no token: {body}");
    }
    let stats = fake.gatekey().stats();
    assert_eq!((stats.verified, stats.cached, stats.asked), (1, 1, 1));
}

#[tokio::test]
async fn each_refusal_is_told_over_http_and_over_grpc() {
    let fake = FakeGatekey::start();
    let good = bearer_of(&fake.token(TokenType::Batch).mint());
    let unknown = bearer_of(&FakeGatekey::start().token(TokenType::Batch).mint());
    let access = Access::routes([("/batch", Rule::Batch), ("/realtime", Rule::Realtime)]).expect("good");
    let layer = fake.gatekey().layer(access);
    let cases = [
        ("/batch", vec![], Refusal::Missing),
        ("/batch", vec!["Basic abc"], Refusal::Missing),
        ("/batch", vec![good.as_str(), good.as_str()], Refusal::Unreadable),
        ("/batch", vec!["Bearer nonsense"], Refusal::Invalid),
        ("/batch", vec![unknown.as_str()], Refusal::Invalid),
        ("/realtime", vec![good.as_str()], Refusal::WrongType(TokenType::Realtime)),
        ("/batch/", vec![good.as_str()], Refusal::NoRule),
    ];
    for (path, values, expected) in cases {
        let mut headers: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
        let (status, _, body) = call(&layer, get(path, &headers)).await;
        assert_eq!(status, expected.http_status(), "{expected:?}");
        assert!(body.contains(expected.reason()), "{body}");
        headers.push(("content-type", "application/grpc+proto"));
        let (status, ..) = call(&layer, get(path, &headers)).await;
        assert_eq!(status, expected.http_status(), "gRPC is a POST");
        let mut request = get(path, &headers);
        *request.method_mut() = Method::POST;
        let (status, headers, _) = call(&layer, request).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["grpc-status"], (expected.code() as i32).to_string(), "{expected:?}");
    }
    let stats = fake.gatekey().stats();
    assert_eq!((stats.missing, stats.unreadable, stats.invalid), (6, 3, 6));
    assert_eq!((stats.wrong_type, stats.no_rule), (3, 3));
}

#[tokio::test]
async fn a_flood_of_paths_without_a_rule_is_no_flood_in_the_log() {
    let fake = FakeGatekey::start();
    let access = Access::routes([("/batch", Rule::Batch)]).expect("good");
    let layer = fake.gatekey().layer(access);
    let lines = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&lines);
    let listening = Listening(move || {
        counting.fetch_add(1, Ordering::SeqCst);
    });
    let _listening = tracing::subscriber::set_default(listening);
    let long = "x".repeat(10_000);
    // No more of a path is told than of this one.
    for path in [format!("/{long}"), format!("/{long}y"), "/again".to_owned(), "/again".to_owned()] {
        assert_eq!(call(&layer, get(&path, &[])).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(lines.load(Ordering::SeqCst), 2);
    for number in 0..1_000 {
        call(&layer, get(&format!("/{number}"), &[])).await;
    }
    assert_eq!(lines.load(Ordering::SeqCst), 16);
    assert_eq!(fake.gatekey().stats().no_rule, 1_004);
}

#[test]
fn grpc_is_told_from_what_looks_like_it() {
    for (kind, expected) in [
        ("application/grpc", Protocol::Grpc),
        ("application/grpc+proto", Protocol::Grpc),
        ("application/grpc;charset=utf-8", Protocol::Grpc),
        ("application/grpc-web+proto", Protocol::Grpc),
        ("application/grpcfoo", Protocol::Http),
        ("application/json", Protocol::Http),
        ("", Protocol::Http),
    ] {
        let mut request = get("/", &[("content-type", kind)]);
        assert_eq!(protocol(&request), Protocol::Http, "{kind}");
        *request.method_mut() = Method::POST;
        assert_eq!(protocol(&request), expected, "{kind}");
    }
}

#[tokio::test]
async fn nobody_can_tell_is_503_and_never_401() {
    let fake = FakeGatekey::start();
    let value = fake.token(TokenType::Batch).mint();
    let layer = fake.gatekey().layer(TokenType::Batch);
    let request = || get("/", &[("authorization", &bearer_of(&value))]);
    assert_eq!(call(&layer, request()).await.0, StatusCode::OK);
    fake.outage(true);
    let (status, headers, _) = call(&layer, request()).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &http::HeaderValue::from_static("1"))
    );
    fake.outage(false);
    assert_eq!(call(&layer, request()).await.0, StatusCode::OK);
    assert_eq!(fake.gatekey().stats().cached, 1, "what was in memory is used again");
}

#[tokio::test]
async fn too_many_unknown_tokens_are_503_and_good_ones_go_on() {
    let fake = FakeGatekey::limited(std::num::NonZeroU32::MIN);
    let value = fake.token(TokenType::Batch).mint();
    let layer = fake.gatekey().layer(TokenType::Batch);
    assert_eq!(call(&layer, get("/", &[("authorization", &bearer_of(&value))])).await.0, StatusCode::OK);
    let strangers = FakeGatekey::start();
    let mut refused = 0;
    for _ in 0..50 {
        let unknown = bearer_of(&strangers.token(TokenType::Batch).mint());
        let (status, ..) = call(&layer, get("/", &[("authorization", &unknown)])).await;
        refused += usize::from(status == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(refused > 0);
    assert_eq!(call(&layer, get("/", &[("authorization", &bearer_of(&value))])).await.0, StatusCode::OK);
}

#[tokio::test]
async fn public_routes_show_no_token_and_identity_can_not_be_forged() {
    let fake = FakeGatekey::start();
    let value = fake.token(TokenType::Batch).mint();
    let access = Access::routes([("/open", Rule::Public), ("/batch", Rule::Batch)]).expect("good");
    let layer = fake.gatekey().layer(access);
    let forged = [
        ("authorization", &*bearer_of(&value)),
        ("x-gatekey-token-id", "1"),
        ("X-Gatekey-Tenant", "root"),
        ("x-gatekey-tenant", "again"),
        ("x-other", "kept"),
    ];
    for path in ["/open", "/batch"] {
        let (status, _, body) = call(&layer, get(path, &forged)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!body.contains("x-gatekey") && body.contains("x-other"), "{body}");
        assert_eq!(body.starts_with("nobody"), path == "/open", "{body}");
    }
    let (.., body) = call(&layer.clone().strip_authorization(), get("/batch", &forged)).await;
    assert!(!body.contains("authorization"), "{body}");
}

#[tokio::test]
async fn a_handler_that_could_not_read_on_is_answered_for() {
    let fake = FakeGatekey::start();
    let value = fake.token(TokenType::Batch).mint();
    let layer = fake.gatekey().layer(TokenType::Batch);
    let revoking = fake.clone();
    let revoked = value.clone();
    // It reads a body that never ends.
    let service = layer.layer(tower::service_fn(move |request: Request<RequestBody<Never>>| {
        let (fake, value) = (revoking.clone(), revoked.clone());
        async move {
            let reading = tokio::spawn(request.into_body().collect());
            // Not before it waits for more, so that it is cut off there.
            while fake.gatekey().health().guarded_tokens == 0 {
                tokio::task::yield_now().await;
            }
            fake.revoke(&value);
            let failed = reading.await.expect("no panic").is_err();
            let mut response = Response::new(Full::<Bytes>::default());
            *response.status_mut() = if failed { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            Ok::<_, Infallible>(response)
        }
    }));
    let request = get("/", &[("authorization", &bearer_of(&value))]).map(|_| Never);
    let response = service.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().contains_key("www-authenticate"));
}

/// A body that has nothing to say, ever.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn an_inner_service_is_called_only_when_it_is_ready() {
    /// Panics if it is called before it was polled ready; a clone is not ready.
    #[derive(Debug)]
    struct Fussy(bool);
    impl Clone for Fussy {
        fn clone(&self) -> Self {
            Self(false)
        }
    }
    impl<B> Service<Request<B>> for Fussy {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.0 = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<B>) -> Self::Future {
            assert!(std::mem::take(&mut self.0), "it was not ready");
            std::future::ready(Ok(Response::default()))
        }
    }
    let fake = FakeGatekey::start();
    let value = bearer_of(&fake.token(TokenType::Batch).mint());
    let mut service = fake.gatekey().layer(TokenType::Batch).layer(Fussy(false));
    for _ in ["verified", "cached", "cached"] {
        let request = get("/", &[("authorization", &value)]);
        let response = ServiceExt::<Sent>::ready(&mut service).await.expect("infallible").call(request).await;
        assert_eq!(response.expect("infallible").status(), StatusCode::OK);
    }
}
