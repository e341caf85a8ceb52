//! The door of the gRPC port: nothing passes without a caller, but what is listed here.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::Authenticator;

/// The services that anyone may call: they show nothing of any tenant. The list may only shrink.
const PUBLIC: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Whether the method at this path (`/package.Service/Method`) may be called by anyone.
#[must_use]
pub fn is_public(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(service, _)| service);
    service.is_some_and(|service| PUBLIC.contains(&service))
}

pub(super) async fn authenticate(
    State(authenticator): State<Arc<Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !is_public(request.uri().path()) {
        match authenticator.caller(request.headers()).await {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(error) => {
                tracing::debug!(reason = error.reason_name(), message = error.message(), "not authenticated");
                return error.into_status().into_http();
            }
        };
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_services_are_public() {
        assert!(is_public("/grpc.health.v1.Health/Check"));
        for path in [
            "/gatekey.v1.TokenService/CreateToken",
            "/grpc.health.v1.Health",
            "//grpc.health.v1.Health/Check",
            "/grpc.health.v1.health/Check",
            "/x/grpc.health.v1.Health/Check",
            "grpc.health.v1.Health/Check",
            "/",
            "",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }
}
