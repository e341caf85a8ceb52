//! A server whose every word is a test's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatekey_proto::v1;
use gatekey_proto::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use gatekey_proto::v1::token_service_server::{TokenService, TokenServiceServer};
use gatekey_proto::v1::watch_request::Event as Said;
use gatekey_proto::v1::watch_response::Event as Told;
use gatekey_proto::v1::{Verdict, VerifyTokenRequest, VerifyTokenResponse};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// The longest that there is.
pub(crate) const LEASE: Duration = Duration::from_mins(2);
/// A bound for waits that only a broken interceptor reaches.
pub(crate) const ROOMY: Duration = Duration::from_mins(1);

/// Where nobody listens.
pub(crate) fn gone() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0");
    socket.and_then(|socket| socket.local_addr()).expect("a port")
}

/// One stream, from the server's side.
pub(crate) struct Stream {
    pub(crate) said: Streaming<v1::WatchRequest>,
    pub(crate) tell: mpsc::UnboundedSender<Result<v1::WatchResponse, Status>>,
    pub(crate) authorization: Option<String>,
    /// What the holder proved itself by.
    #[cfg(feature = "tls")]
    pub(crate) certificate: Option<Vec<u8>>,
}

pub(crate) type Question = (VerifyTokenRequest, oneshot::Sender<Result<VerifyTokenResponse, Status>>);

/// A server of the test's own.
pub(crate) struct Script {
    streams: mpsc::UnboundedReceiver<Stream>,
    questions: mpsc::UnboundedReceiver<Question>,
    pub(crate) address: SocketAddr,
    /// Whether it is a proxy that is there without a server.
    pub(crate) away: Arc<AtomicBool>,
    /// The `authorization` that it does not take yet.
    refused: Arc<Mutex<Option<String>>>,
    /// How many calls it refused for either.
    refusals: watch::Sender<usize>,
}

#[derive(Clone)]
struct Scripted {
    streams: mpsc::UnboundedSender<Stream>,
    questions: mpsc::UnboundedSender<Question>,
    away: Arc<AtomicBool>,
    refused: Arc<Mutex<Option<String>>>,
    refusals: watch::Sender<usize>,
}

impl Scripted {
    fn check(&self, metadata: &MetadataMap) -> Result<Option<String>, Status> {
        let authorization = metadata.get("authorization");
        let authorization = authorization.map(|value| value.to_str().expect("ASCII").to_owned());
        let refuse = |status: Status| {
            self.refusals.send_modify(|refusals| *refusals += 1);
            Err(status)
        };
        if self.away.load(Ordering::SeqCst) {
            return refuse(Status::unavailable("no healthy upstream"));
        }
        let refused = self.refused.lock().expect("nobody panics").clone();
        if refused.is_some() && refused == authorization {
            return refuse(Status::unauthenticated("not yet"));
        }
        Ok(authorization)
    }
}

#[tonic::async_trait]
impl RevocationService for Scripted {
    type WatchStream = UnboundedReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let authorization = self.check(request.metadata())?;
        let (tell, told) = mpsc::unbounded_channel();
        #[cfg(feature = "tls")]
        let certificate = request.peer_certs().and_then(|certs| certs.first().map(|cert| cert.to_vec()));
        let stream = Stream {
            #[cfg(feature = "tls")]
            certificate,
            said: request.into_inner(),
            tell,
            authorization,
        };
        self.streams.send(stream).map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(UnboundedReceiverStream::new(told)))
    }
}

#[tonic::async_trait]
impl TokenService for Scripted {
    async fn create_token(
        &self,
        _: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_tokens(
        &self,
        _: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_token(
        &self,
        _: Request<v1::DeleteTokenRequest>,
    ) -> Result<Response<v1::DeleteTokenResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_token(
        &self,
        request: Request<VerifyTokenRequest>,
    ) -> Result<Response<VerifyTokenResponse>, Status> {
        self.check(request.metadata())?;
        let (answer, answered) = oneshot::channel();
        let question = (request.into_inner(), answer);
        self.questions.send(question).map_err(|_| Status::unavailable("the test is over"))?;
        answered.await.map_err(|_| Status::unavailable("no answer"))?.map(Response::new)
    }
}

impl Script {
    pub(crate) async fn start() -> Self {
        Self::start_with(Server::builder()).await
    }

    pub(crate) async fn start_with(mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (streams, opened) = mpsc::unbounded_channel();
        let (questions, asked) = mpsc::unbounded_channel();
        let (away, refused) = (Arc::default(), Arc::default());
        let refusals = watch::Sender::new(0);
        let scripted = Scripted {
            streams,
            questions,
            away: Arc::clone(&away),
            refused: Arc::clone(&refused),
            refusals: refusals.clone(),
        };
        let server = server
            .add_service(RevocationServiceServer::new(scripted.clone()))
            .add_service(TokenServiceServer::new(scripted))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        Self { streams: opened, questions: asked, address, away, refused, refusals }
    }

    pub(crate) async fn stream(&mut self) -> Stream {
        timeout(ROOMY, self.streams.recv()).await.expect("in time").expect("the server runs")
    }

    /// Takes this `authorization` no more, or not yet.
    pub(crate) fn refuse(&self, authorization: Option<&str>) {
        *self.refused.lock().expect("nobody panics") = authorization.map(str::to_owned);
    }

    /// Until it has refused so many calls more.
    pub(crate) async fn refuses(&self, more: usize) {
        let mut refusals = self.refusals.subscribe();
        let before = *refusals.borrow_and_update();
        let refused = refusals.wait_for(|refusals| *refusals >= before + more);
        timeout(ROOMY, refused).await.expect("in time").expect("the server runs");
    }

    pub(crate) async fn question(&mut self) -> Question {
        timeout(ROOMY, self.questions.recv()).await.expect("in time").expect("the server runs")
    }
}

impl Stream {
    pub(crate) async fn said(&mut self) -> Said {
        let said = timeout(ROOMY, self.said.message()).await.expect("in time").expect("no error");
        said.expect("the stream goes on").event.expect("something")
    }

    pub(crate) async fn hello(&mut self) -> v1::Hello {
        match self.said().await {
            Said::Hello(hello) => hello,
            other => panic!("the first message is a Hello, not {other:?}"),
        }
    }

    /// The next Renew that repeats this Reset; Acks are passed over.
    pub(crate) async fn renew(&mut self, reset_id: u64) -> u64 {
        loop {
            match self.said().await {
                Said::Renew(renew) if renew.reset_id == reset_id => return renew.id,
                Said::Renew(_) | Said::Ack(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn tell(&self, event: Told) {
        self.tell.send(Ok(v1::WatchResponse { event: Some(event) })).expect("the holder listens");
    }

    pub(crate) fn reset(&self, id: u64, seq: i64) {
        self.tell(Told::Reset(v1::Reset { id, position: at(seq), epoch: 0 }));
    }

    pub(crate) fn grant(&self, id: u64) {
        let ttl = prost_types::Duration::try_from(LEASE).expect("short");
        self.tell(Told::Grant(v1::Grant { id, ttl: Some(ttl) }));
    }

    /// Goes on for ever, with a lease that is short and so is renewed soon.
    pub(crate) async fn keep(&mut self, reset_id: u64) -> Infallible {
        loop {
            let id = self.renew(reset_id).await;
            let ttl = prost_types::Duration { seconds: 2, nanos: 0 };
            self.tell(Told::Grant(v1::Grant { id, ttl: Some(ttl) }));
        }
    }

    /// Up to a lease, from an empty cache.
    pub(crate) async fn lease(&mut self) {
        self.hello().await;
        self.reset(1, 0);
        let id = self.renew(1).await;
        self.grant(id);
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as messages have it")]
pub(crate) fn at(seq: i64) -> Option<v1::Position> {
    Some(v1::Position { seq, nonce: 1 })
}

pub(crate) fn answer(verdict: Verdict) -> VerifyTokenResponse {
    let token = Some(crate::known::tests::token(1));
    VerifyTokenResponse { verdict: verdict.into(), token, revision: at(0), cacheable: true }
}
