//! A bare tonic server that answers VerifyToken with a message of the same size and does nothing else:
//! the limit that the transport sets.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gatekey_e2e::OtlpSink;
use gatekey_interceptor::{Access, Gatekey};
use gatekey_proto::v1;
use gatekey_proto::v1::token_service_server::{TokenService, TokenServiceServer};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Before they take much room.
const FORGOTTEN_AFTER: Duration = Duration::from_millis(200);

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

/// Serves until killed; prints its address. With a server of Gatekey's, it asks for an API token of any type, and prints
/// its address only once it has a lease.
pub(crate) async fn serve(gatekey: Option<String>) {
    let address = "127.0.0.1:0".parse().expect("an address");
    let incoming = TcpIncoming::bind(address).expect("a free port").with_nodelay(Some(true));
    let address = incoming.local_addr().expect("bound");
    let service = TokenServiceServer::new(Echo);
    let served = if let Some(endpoint) = gatekey {
        let jwt = std::env::var("GATEKEY_JWT").expect("a JWT");
        let gatekey = Gatekey::builder([endpoint]).bearer(&jwt).connect().expect("good settings");
        gatekey.leased().await;
        println!("{address}");
        let mut layered = Server::builder().layer(gatekey.layer(Access::any()));
        layered.add_service(service).serve_with_incoming(incoming).await
    } else {
        println!("{address}");
        Server::builder().add_service(service).serve_with_incoming(incoming).await
    };
    served.expect("the echo serves");
}

/// Takes traces until killed, and throws them away; prints its address.
pub(crate) async fn collect() {
    let sink = OtlpSink::start().await;
    println!("{}", sink.address());
    loop {
        tokio::time::sleep(FORGOTTEN_AFTER).await;
        sink.forget();
    }
}

/// Such a server in a process of its own. Killed when dropped.
pub(crate) struct PeerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl PeerProcess {
    pub(crate) fn bare() -> Self {
        Self::start(&mut this_program())
    }

    /// It asks for tokens of this server.
    pub(crate) fn protected(gatekey: SocketAddr, jwt: &str) -> Self {
        Self::start(this_program().args(["--gatekey", &format!("http://{gatekey}")]).env("GATEKEY_JWT", jwt))
    }

    /// It takes traces, and throws them away.
    pub(crate) fn collector() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        Self::start(command.arg("collector"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("an address");
        Self { child, address: line.trim().parse().expect("an address") }
    }
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("echo");
    command
}

impl Drop for PeerProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
