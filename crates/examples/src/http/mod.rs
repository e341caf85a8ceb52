//! The service over HTTP: its routes, and the table that says which of them asks for which token.

mod events;
mod uploads;
mod websocket;

use axum::routing::{any, get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use gatekey_interceptor::{Access, Gatekey, Rule, VerifiedToken};
use tokio::net::TcpListener;

use crate::traces;
use crate::v1::Caller;

/// Whatever is not named here is refused.
const ACCESS: [(&str, Rule); 6] = [
    ("GET /livez", Rule::Public),
    ("GET /v1/batch/caller", Rule::Batch),
    ("POST /v1/uploads", Rule::Batch),
    ("GET /v1/realtime/caller", Rule::Realtime),
    ("GET /v1/realtime/events", Rule::Realtime),
    // A WebSocket begins with GET in HTTP/1.1, and with CONNECT in HTTP/2.
    ("/v1/realtime", Rule::Realtime),
];

/// The paths of the table: none of them has a parameter.
pub(crate) fn routes() -> impl Iterator<Item = &'static str> {
    ACCESS.into_iter().filter_map(|(route, _)| route.rsplit(' ').next())
}

/// The routes, behind the interceptor.
pub fn http_router(gatekey: &Gatekey) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/v1/batch/caller", get(caller))
        .route("/v1/uploads", post(uploads::upload))
        .route("/v1/realtime/caller", get(caller))
        .route("/v1/realtime/events", get(events::events))
        .route("/v1/realtime", any(websocket::realtime))
        .layer(gatekey.layer(access()))
        .layer(traces::requests())
}

/// Serves [`http_router`] until `until` resolves and the requests that run then are finished.
///
/// # Errors
/// None today; axum reserves the right.
pub async fn serve_http(
    listener: TcpListener,
    gatekey: Gatekey,
    until: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // A message goes out at once.
    let listener = listener.tap_io(|connection| {
        if let Err(cause) = connection.set_nodelay(true) {
            tracing::debug!(%cause, "TCP_NODELAY can't be set");
        }
    });
    axum::serve(listener, http_router(&gatekey)).with_graceful_shutdown(until).await
}

fn access() -> Access {
    Access::routes(ACCESS).expect("the table is constant, and a test has seen that it is good")
}

/// Says who called.
async fn caller(token: VerifiedToken) -> Json<Caller> {
    Json(Caller::from(&token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_good() {
        access();
    }
}
