//! `gatekey.v1.TokenService`: from a message to a use case and back.

use gatekey_core::Tokens;
use gatekey_proto::v1;
use gatekey_proto::v1::token_service_server::TokenService;
use tonic::{Request, Response, Status};

use super::{open, refuse};
use crate::convert;

pub(super) struct TokenApi {
    tokens: Tokens,
}

impl TokenApi {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }
}

#[tonic::async_trait]
impl TokenService for TokenApi {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let (call, message) = open(request)?;
        let created = self.tokens.create(&call, convert::create_request(message)).await.map_err(refuse)?;
        Ok(Response::new(convert::create_response(&created)))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let (call, message) = open(request)?;
        let tenant = call.caller.tenant.as_ref();
        let page = self.tokens.list(&call, convert::list_request(&message, tenant)).await.map_err(refuse)?;
        Ok(Response::new(convert::list_response(&page, tenant)))
    }

    async fn delete_token(
        &self,
        request: Request<v1::DeleteTokenRequest>,
    ) -> Result<Response<v1::DeleteTokenResponse>, Status> {
        let (call, message) = open(request)?;
        let receipt = self.tokens.delete(&call, convert::delete_request(message)).await.map_err(refuse)?;
        Ok(Response::new(convert::delete_response(&receipt)))
    }

    async fn verify_token(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        let (call, message) = open(request)?;
        let verification =
            self.tokens.verify(&call, convert::verify_request(message)).await.map_err(refuse)?;
        Ok(Response::new(convert::verify_response(&verification)))
    }
}
