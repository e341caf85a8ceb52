//! The door of the gRPC port: nothing passes without a caller, but what is listed here.

use std::sync::Arc;

use gatekey_core::Caller;
use http::HeaderMap;

use crate::auth::refusals;
use crate::{ApiError, Authenticator};

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

/// The caller of a call that is not public.
pub(super) async fn caller(
    authenticator: &Authenticator,
    headers: &HeaderMap,
) -> Result<Arc<Caller>, ApiError> {
    authenticator.caller(headers).await.inspect_err(refusals::log)
}

#[cfg(test)]
mod tests {
    use gatekey_core::SystemClock;
    use gatekey_proto::v1::ErrorReason;

    use super::*;
    use crate::auth::tests::log::Log;

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

    #[tokio::test]
    async fn a_stranger_is_logged_without_what_they_sent() {
        let (log, _guard) = Log::start();
        let authenticator = Authenticator::new(Vec::new(), Arc::new(SystemClock)).await.expect("no issuers");
        let headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer hunter2.hunter2.hunter2")),
            (http::header::USER_AGENT, http::HeaderValue::from_static("hunter2")),
        ]);
        let refused = caller(&authenticator, &headers).await.expect_err("nobody vouches for it");
        assert_eq!(refused.reason(), ErrorReason::CredentialsInvalid);
        let lines = log.of("gatekey_api::auth::refusals");
        let start = "INFO gatekey_api::auth::refusals ";
        assert!(lines.starts_with(start) && lines.contains(r#"reason="CREDENTIALS_INVALID""#), "{lines}");
        assert!(lines.contains("the credentials are not acceptable: "), "{lines}");
        assert!(!lines.contains("hunter2"), "{lines}");
    }
}
