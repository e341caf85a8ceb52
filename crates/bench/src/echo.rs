//! A bare tonic server that answers VerifyToken with a message of the same size and does nothing else:
//! the limit that the transport sets.

use gatekey_proto::v1;
use gatekey_proto::v1::token_service_server::{TokenService, TokenServiceServer};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

struct Echo;

fn timestamp(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 123_456_000 }
}

#[tonic::async_trait]
impl TokenService for Echo {
    async fn create_token(
        &self,
        _: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn list_tokens(
        &self,
        _: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn delete_token(
        &self,
        _: Request<v1::DeleteTokenRequest>,
    ) -> Result<Response<v1::DeleteTokenResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn verify_token(
        &self,
        _: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        Ok(Response::new(v1::VerifyTokenResponse {
            verdict: v1::Verdict::Active.into(),
            token: Some(v1::Token {
                id: 123_456,
                name: "benchmark".to_owned(),
                key: "gk_b_4fZk91Qd".to_owned(),
                r#type: v1::TokenType::Batch.into(),
                create_time: Some(timestamp(1_795_000_000)),
                expire_time: Some(timestamp(1_826_000_000)),
                creator: "dev".to_owned(),
                tenant: "acme".to_owned(),
            }),
            revision: Some(v1::Position { seq: 0, nonce: 1 << 60 }),
            cacheable: false,
        }))
    }
}

/// Serves until killed; prints its address.
pub(crate) async fn serve() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let incoming = TcpIncoming::bind(address).expect("a free port").with_nodelay(Some(true));
    println!("{}", incoming.local_addr().expect("bound"));
    tonic::transport::Server::builder()
        .add_service(TokenServiceServer::new(Echo))
        .serve_with_incoming(incoming)
        .await
        .expect("the echo serves");
}
