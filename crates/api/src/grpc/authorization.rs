//! `envoy.service.auth.v3.Authorization`: the question of Envoy's filter ext_authz.
//!
//! Every answer in time is one that Envoy can hand on. An error would be handled as Envoy's configuration says, which may be
//! to let the request through.

use gatekey_access::Refusal;
use gatekey_core::{Call, Tokens};
use gatekey_proto::envoy::service::auth::v3::authorization_server::Authorization;
use gatekey_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use gatekey_proto::v1::ErrorReason;
use tonic::{Request, Response, Status};

use super::deadline::Deadline;
use crate::call_id::CallId;
use crate::gateway::{Proof, answer, count};
use crate::{ApiError, convert};

/// The service's paths begin so.
pub(super) const PATHS: &str = "/envoy.service.auth.v3.Authorization/";

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
    async fn check(&self, mut request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let proof = request.extensions_mut().remove::<Proof>();
        let id = request.extensions_mut().remove::<CallId>();
        let deadline = request.extensions_mut().remove::<Deadline>().map(|Deadline(moment)| moment);
        let asked = convert::ext_authz::asked(request.into_inner());
        let Some((Proof(proof), CallId(id))) = proof.zip(id) else {
            tracing::error!("a question reached its handler without a proof of who asks, or without an id");
            return Ok(Response::new(asked.refuse(&ApiError::new(ErrorReason::Internal))));
        };
        let caller = match proof {
            Ok(caller) => caller,
            Err(error) => {
                count("ext_authz", &Err(Refusal::Unverifiable));
                return Ok(Response::new(asked.refuse(&error)));
            }
        };
        let call = Call { caller, id, deadline };
        let decision = answer(&self.tokens, &call, asked.question()).await;
        count("ext_authz", &decision);
        Ok(Response::new(match decision {
            Ok(token) => asked.allow(&token),
            Err(refusal) => asked.deny(refusal),
        }))
    }
}
