//! `POST /v1/uploads`: a request body that is read as it comes.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt;
use gatekey_interceptor::VerifiedToken;

use crate::v1::{Caller, UploadResponse};

/// Takes a recording.
pub(super) async fn upload(token: VerifiedToken, body: Body) -> Result<Json<UploadResponse>, StatusCode> {
    let mut chunks = body.into_data_stream();
    let mut bytes_received = 0;
    while let Some(chunk) = chunks.next().await {
        // If it ends because the token was revoked, the interceptor makes a 401 of this.
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        bytes_received += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
    }
    Ok(Json(UploadResponse { bytes_received, caller: Some(Caller::from(&token)) }))
}
