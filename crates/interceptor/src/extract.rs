//! How handlers get at the caller's token.

use crate::VerifiedToken;

/// The caller's token, from a tonic request.
///
/// ```
/// use gatekey_interceptor::RequestExt;
/// use tonic::{Request, Response, Status};
///
/// async fn upload(request: Request<()>) -> Result<Response<String>, Status> {
///     let token = request.verified_token()?;
///     Ok(Response::new(format!("hello, {}", token.tenant())))
/// }
/// ```
pub trait RequestExt {
    /// The token under which this call came.
    ///
    /// # Errors
    /// INTERNAL if the layer is not in front of this service, or the route is public: a mistake of the service.
    fn verified_token(&self) -> Result<&VerifiedToken, tonic::Status>;
}

const MISSING: &str = "no verified token: the layer is not in front of this handler, or the route is public";

impl<T> RequestExt for tonic::Request<T> {
    fn verified_token(&self) -> Result<&VerifiedToken, tonic::Status> {
        self.extensions().get().ok_or_else(|| tonic::Status::internal(MISSING))
    }
}

#[cfg(feature = "axum")]
mod axum {
    use std::convert::Infallible;

    use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
    use axum_core::response::{IntoResponse, Response};
    use http::StatusCode;
    use http::request::Parts;

    use super::MISSING;
    use crate::VerifiedToken;

    /// The layer is not in front of the handler, or the route is public: a mistake of the service.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("{MISSING}")]
    pub struct NotVerified;

    impl IntoResponse for NotVerified {
        fn into_response(self) -> Response {
            tracing::error!("{MISSING}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }

    /// As an argument of an axum handler.
    impl<S: Sync> FromRequestParts<S> for VerifiedToken {
        type Rejection = NotVerified;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotVerified> {
            parts.extensions.get().cloned().ok_or(NotVerified)
        }
    }

    /// As an `Option`, for a handler that also serves public routes.
    impl<S: Sync> OptionalFromRequestParts<S> for VerifiedToken {
        type Rejection = Infallible;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
            Ok(parts.extensions.get().cloned())
        }
    }
}

#[cfg(feature = "axum")]
pub use axum::NotVerified;
