//! `envoy.service.auth.v3.Authorization`: the question of Envoy's filter ext_authz.
//!
//! Every answer is one that Envoy can hand on, whatever went wrong. An error would be handled as Envoy's configuration says,
//! which may be to let the request through.

use axum::body::{Body, Bytes};
use axum::response::Response;
use gatekey_access::Refusal;
use gatekey_core::Tokens;
use gatekey_proto::envoy::service::auth::v3::authorization_server::Authorization;
use gatekey_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::{Code, Request, Status};

use super::open;
use crate::gateway::{NOT_A_GATEWAY, answer, count, count_as};
use crate::{ApiError, convert};

/// The service's paths begin so.
pub(super) const PATHS: &str = "/envoy.service.auth.v3.Authorization/";

const ASKER: &str = "ext_authz";

pub(super) struct AuthorizationApi {
    tokens: Tokens,
}

impl AuthorizationApi {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }
}

#[tonic::async_trait]
impl Authorization for AuthorizationApi {
    async fn check(&self, request: Request<CheckRequest>) -> Result<tonic::Response<CheckResponse>, Status> {
        let (call, message) = open(request)?;
        let asked = convert::ext_authz::asked(message);
        let decision = answer(&self.tokens, &call, asked.question()).await;
        count(ASKER, &decision);
        Ok(tonic::Response::new(match decision {
            Ok(token) => asked.allow(&token),
            Err(refusal) => asked.deny(refusal),
        }))
    }
}

/// Whoever asks is no gateway that is known. Nothing of the question is read.
pub(super) fn refused(error: ApiError) -> Response {
    count_as(ASKER, NOT_A_GATEWAY);
    unary(&convert::ext_authz::unread(&error.into_status()))
}

/// What came of a question, in words that can be handed on.
pub(super) fn complete(response: Response) -> Response {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => {
            tracing::info!(code = ?status.code(), "a question of a gateway that has no answer");
            count_as(ASKER, Refusal::Unverifiable.reason());
            unary(&convert::ext_authz::unread(&status))
        }
        _ => response,
    }
}

/// A message as the answer of a call (gRPC over HTTP/2, "Responses").
fn unary(message: &CheckResponse) -> Response {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message.encode_to_vec());
    let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
