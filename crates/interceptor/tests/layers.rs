//! The layer inside of others, as the docs advise: those answer by an empty body of its own, or end it.

use std::time::Duration;

use axum::body::Body;
use axum::routing::get;
use axum::{BoxError, Router};
use gatekey_interceptor::{FakeGatekey, TokenType};
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN};
use http::{Method, Request, StatusCode};
use tonic::service::Routes;
use tonic::transport::Server;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::cors::{Any, CorsLayer};
use tower_http::timeout::TimeoutLayer;

const LATE: StatusCode = StatusCode::GATEWAY_TIMEOUT;

#[tokio::test(start_paused = true)]
async fn an_axum_router_takes_it_inside_of_others() {
    let fake = FakeGatekey::start();
    let value = fake.token(TokenType::Batch).mint();
    // In memory from here on: this test's time runs while another thread verifies.
    fake.gatekey().verify(&value, TokenType::Batch).await.expect("good");
    let layers = ServiceBuilder::new()
        .layer(CorsLayer::new().allow_origin(Any))
        .layer(TimeoutLayer::with_status_code(LATE, Duration::from_mins(1)))
        .layer(fake.gatekey().layer(TokenType::Batch));
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/slow", get(std::future::pending::<()>))
        .layer(layers);
    let status = async |request: http::request::Builder| {
        let request = request.body(Body::empty()).expect("a request");
        app.clone().oneshot(request).await.expect("infallible").status()
    };
    let preflight = Request::builder().method(Method::OPTIONS).uri("/");
    let preflight = preflight.header(ORIGIN, "http://a").header(ACCESS_CONTROL_REQUEST_METHOD, "GET");
    assert_eq!(status(preflight).await, StatusCode::OK);
    assert_eq!(status(Request::get("/")).await, StatusCode::UNAUTHORIZED);
    let bearer = format!("Bearer {value}");
    assert_eq!(status(Request::get("/").header(AUTHORIZATION, &bearer)).await, StatusCode::OK);
    assert_eq!(status(Request::get("/slow").header(AUTHORIZATION, &bearer)).await, LATE);
}

/// It compiles.
#[tokio::test]
async fn a_tonic_server_takes_it_inside_of_others() -> Result<(), BoxError> {
    let fake = FakeGatekey::start();
    let layers = ServiceBuilder::new()
        .layer(CorsLayer::new())
        .layer(TimeoutLayer::with_status_code(LATE, Duration::from_mins(1)))
        .layer(fake.gatekey().layer(TokenType::Realtime))
        .into_inner();
    let server = Server::builder().layer(layers).add_routes(Routes::default());
    server.serve_with_shutdown("127.0.0.1:0".parse()?, std::future::ready(())).await?;
    Ok(())
}
