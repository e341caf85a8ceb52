//! A server that says what it is told to, true or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use gatekey_proto::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use gatekey_proto::v1::token_service_server::{TokenService, TokenServiceServer};
use gatekey_proto::v1::watch_request::Event as Said;
use gatekey_proto::v1::watch_response::Event as Told;
use gatekey_proto::v1::{self, Verdict};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

#[derive(Clone)]
pub(crate) struct Liar {
    /// Of a token that is not deleted.
    before: Verdict,
    after: Verdict,
    /// The first CreateToken is never answered.
    pub(crate) hangs: bool,
    deleted: Arc<AtomicBool>,
    /// The request ids of CreateToken and the ids of DeleteToken, as they came.
    pub(crate) calls: Arc<watch::Sender<Vec<String>>>,
}

impl Liar {
    pub(crate) fn new(before: Verdict, after: Verdict) -> Self {
        Self { before, after, hangs: false, deleted: Arc::default(), calls: Arc::default() }
    }

    pub(crate) async fn serve(&self) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tonic::transport::Server::builder()
            .add_service(TokenServiceServer::new(self.clone()))
            .add_service(RevocationServiceServer::new(self.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        (address, tokio::spawn(async { server.await.expect("it serves") }))
    }

    /// Notes a call. How many there are by now.
    fn called(&self, with: String) -> usize {
        self.calls.send_modify(|calls| calls.push(with));
        self.calls.borrow().len()
    }
}

const PLACE: Option<v1::Position> = Some(v1::Position { seq: 7, nonce: 8 });

fn token() -> v1::Token {
    let expire_time = Some(prost_types::Timestamp { seconds: i64::from(u32::MAX), nanos: 0 });
    v1::Token { id: 17, expire_time, ..Default::default() }
}

#[tonic::async_trait]
impl TokenService for Liar {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let number = self.called(request.into_inner().request_id);
        if self.hangs && number == 1 {
            return std::future::pending().await;
        }
        if self.hangs && self.deleted.load(Ordering::SeqCst) {
            return Err(Status::failed_precondition("spent"));
        }
        let token_value = "a value".to_owned();
        Ok(Response::new(v1::CreateTokenResponse { token: Some(token()), token_value }))
    }

    async fn list_tokens(
        &self,
        _: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn delete_token(
        &self,
        request: Request<v1::DeleteTokenRequest>,
    ) -> Result<Response<v1::DeleteTokenResponse>, Status> {
        self.called(request.into_inner().id.to_string());
        self.deleted.store(true, Ordering::SeqCst);
        let receipt = v1::DeletionReceipt { revision: PLACE, ..Default::default() };
        Ok(Response::new(v1::DeleteTokenResponse { receipt: Some(receipt) }))
    }

    async fn verify_token(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        let verdict = if self.deleted.load(Ordering::SeqCst) { self.after } else { self.before };
        let cacheable = request.get_ref().position.is_some();
        let verdict = verdict.into();
        let token = Some(token());
        Ok(Response::new(v1::VerifyTokenResponse { verdict, token, revision: PLACE, cacheable }))
    }
}

#[tonic::async_trait]
impl RevocationService for Liar {
    type WatchStream = BoxStream<'static, Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let answers = request.into_inner().filter_map(async |said| {
            let event = match said.ok()?.event? {
                Said::Hello(_) => Told::Reset(v1::Reset { id: 1, position: PLACE, epoch: 0 }),
                Said::Renew(renew) => {
                    let ttl = Duration::from_secs(10).try_into().ok();
                    Told::Grant(v1::Grant { id: renew.id, ttl })
                }
                Said::Ack(_) | Said::Release(_) => return None,
            };
            Some(Ok(v1::WatchResponse { event: Some(event) }))
        });
        Ok(Response::new(answers.boxed()))
    }
}
