//! The port for probes alone: `grpc.health.v1.Health` and `/livez`, `/readyz`, without TLS and for anyone. Nothing else.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::net::TcpListener;
use tonic::Status;

use super::{probes, serving};
use crate::{Readiness, grpc};

/// Probes come from a node's kubelet and from load balancers, and most of them go at once.
const MAX_PROBERS: usize = 256;

/// Serves probes until it is dropped, in development mode to local callers only.
pub async fn serve_health(listener: TcpListener, readiness: Readiness, only_local: bool) {
    let router = probes::router(readiness.clone())
        .route_service("/grpc.health.v1.Health/{method}", grpc::health(readiness))
        .fallback(nothing_else);
    serving::serve_apart(listener, MAX_PROBERS, router, only_local).await;
}

async fn nothing_else(request: Request) -> Response {
    if grpc::is_grpc(request.headers()) {
        Status::unimplemented("nothing but grpc.health.v1.Health is served at this port").into_http()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}
