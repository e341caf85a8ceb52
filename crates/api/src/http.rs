//! The HTTP port. For now the probes: `/livez` and `/readyz`.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gatekey_proto::v1::ErrorReason;
use http::{StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;
use tracing::Instrument;

use crate::call_id::{Identified, KnownPaths};
use crate::connections::Acceptor;
use crate::{ApiError, Readiness, loopback};

/// Probes need few.
const MAX_CONNECTIONS: usize = 1_024;

/// The routes of the HTTP port.
pub fn router(readiness: Readiness, only_local: bool) -> Router {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .fallback(not_found)
        .with_state(readiness);
    let router = if only_local { router.layer(from_fn(loopback::only_local)) } else { router };
    let paths = KnownPaths::from_iter(["/livez", "/readyz"].map(str::to_owned));
    router.layer(from_fn(move |mut request: Request, next: Next| {
        let paths = paths.clone();
        async move {
            let identified = Identified::of(&paths, &mut request);
            let response = next.run(request).instrument(identified.span()).await;
            identified.end(response)
        }
    }))
}

/// Serves the routes until `stop` resolves and what runs then is finished.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(Acceptor::new(listener, MAX_CONNECTIONS), router).with_graceful_shutdown(stop).await
}

async fn live(State(readiness): State<Readiness>) -> Response {
    probe(readiness.phase().is_live(), readiness.phase().as_str())
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    probe(readiness.phase().is_ready(), readiness.phase().as_str())
}

fn probe(good: bool, text: &'static str) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = if good { "ok\n".to_owned() } else { format!("{text}\n") };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn not_found() -> Response {
    let body = json!({ "message": "nothing is served at this path", "detail": [] });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// An error as HTTP says it.
pub(crate) struct JsonError(pub(crate) ApiError);

impl IntoResponse for JsonError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let fields = error
            .field_errors()
            .iter()
            .map(|field| json!({ "loc": ["body", field.field], "msg": field.message, "type": field.reason }));
        let mut detail: Vec<_> = fields.collect();
        if detail.is_empty() && error.reason() != ErrorReason::Unspecified {
            detail.push(json!({ "loc": [], "msg": error.message(), "type": error.reason_name() }));
        }
        let body = json!({ "message": error.message(), "detail": detail });
        (error.http_status(), [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
