//! Errors as HTTP says them: a status and a JSON body from the error table, and the challenges of RFC 6750.

use axum::Json;
use axum::response::{IntoResponse, Response};
use gatekey_proto::v1::ErrorReason;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{ApiError, FieldError};

/// How long whoever was told "cannot tell" may wait before the next try, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error as HTTP says it.
pub(crate) struct JsonError(pub(crate) ApiError);

impl From<ApiError> for JsonError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for JsonError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let mut body = json!({ "message": error.message(), "detail": detail(&error) });
        if error.http_status() == StatusCode::UNAUTHORIZED {
            if let Some(code) = rfc_6750_code(&error) {
                body["error"] = code.into();
            }
            body["error_description"] = error.message().into();
        }
        let mut response = (error.http_status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge(&error) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if error.http_status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

fn detail(error: &ApiError) -> Vec<Value> {
    if error.field_errors().is_empty() {
        return vec![json!({ "loc": [], "msg": error.message(), "type": error.reason_name() })];
    }
    let field =
        |field: &FieldError| json!({ "loc": place(field.field), "msg": field.message, "type": field.reason });
    error.field_errors().iter().map(field).collect()
}

/// Where a field stands in a request of the REST API.
fn place(field: &'static str) -> [&'static str; 2] {
    match field {
        "id" => ["path", "id"],
        "request_id" => ["header", "Idempotency-Key"],
        _ => ["body", field],
    }
}

/// The code of RFC 6750 section 3.1. None where no credentials came.
fn rfc_6750_code(error: &ApiError) -> Option<&'static str> {
    match error.reason() {
        ErrorReason::CredentialsInvalid => Some("invalid_token"),
        ErrorReason::RoleRequired | ErrorReason::TenantRequired => Some("insufficient_scope"),
        _ => None,
    }
}

fn challenge(error: &ApiError) -> Option<HeaderValue> {
    let Some(code) = rfc_6750_code(error) else {
        let missing = error.http_status() == StatusCode::UNAUTHORIZED;
        return missing.then_some(HeaderValue::from_static(r#"Bearer realm="gatekey""#));
    };
    // Our own texts: none has a quotation mark or a backslash.
    let text = format!(r#"Bearer realm="gatekey", error="{code}", error_description="{}""#, error.message());
    HeaderValue::try_from(text).ok()
}

pub(super) async fn path_unknown() -> JsonError {
    JsonError(ApiError::new(ErrorReason::PathUnknown))
}

pub(super) async fn method_not_allowed() -> JsonError {
    JsonError(ApiError::new(ErrorReason::MethodNotAllowed))
}
