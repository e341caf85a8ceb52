//! Gives every error of Gatekey's services the form of the error table, those that tonic itself makes
//! included: a message that can't be decoded or is too long, a method that does not exist.

use axum::response::Response;
use gatekey_proto::v1::ErrorReason;
use http::HeaderMap;
use tonic::{Code, Status};

use crate::ApiError;

/// The services whose errors are ours. Health and reflection answer as their protocols say.
const OURS: &str = "/gatekey.";

/// Whether errors of the method at this path have to come from the table.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with(OURS)
}

pub(super) fn complete(response: Response) -> Response {
    match foreign_error(response.headers()) {
        Some(status) => {
            let error = translate(&status);
            tracing::info!(
                reason = error.reason_name(),
                message = error.message(),
                "not a call that can be served"
            );
            error.into_status().into_http()
        }
        None => response,
    }
}

/// An error that has not come from the table: those carry details.
fn foreign_error(headers: &HeaderMap) -> Option<Status> {
    let status = Status::from_header_map(headers)?;
    (status.code() != Code::Ok && status.details().is_empty()).then_some(status)
}

fn translate(status: &Status) -> ApiError {
    ApiError::new(match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => ErrorReason::RequestTooLarge,
        // So tonic says of a message that does not decode, and of one that is missing.
        Code::Internal | Code::InvalidArgument => ErrorReason::RequestUnreadable,
        Code::Unimplemented => ErrorReason::NotOffered,
        Code::DeadlineExceeded | Code::Cancelled => ErrorReason::DeadlineExceeded,
        _ => ErrorReason::Internal,
    })
}
