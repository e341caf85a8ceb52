//! Thousands of refused calls on one connection, whose messages come after their refusals. Whoever shares the connection must not
//! lose it: the h2 crate closes one on which too many small frames came for streams that were reset. What the client sends is
//! written frame by frame, so that each message is late, which a real client's is now and then.

use std::net::SocketAddr;

use gatekey_e2e::{HolderStart, ROOMY, Start, dev_token};
use gatekey_interceptor::{FakeGatekey, TokenType};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than the budget of a connection is enough for: half of its window of 1 MiB, of which each takes some 250 bytes.
const CALLS: u32 = 2_500;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// A gRPC message without content.
const MESSAGE: [u8; 5] = [0; 5];

struct Connection {
    stream: BufReader<TcpStream>,
    next: u32,
    resets: u32,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Connection {
    async fn to(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream.write_all(PREFACE).await.expect("sent");
        let mut connection = Self { stream: BufReader::new(stream), next: 1, resets: 0 };
        connection.send(SETTINGS, 0, 0, &[]).await;
        // The answers of all calls fit in.
        connection.send(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()).await;
        connection
    }

    /// Headers, then nothing until they are answered, then the message.
    async fn call(&mut self, headers: &[u8]) {
        let stream = self.next;
        self.next += 2;
        self.send(HEADERS, END_HEADERS, stream, headers).await;
        loop {
            let received = timeout(ROOMY, self.receive()).await;
            let frame = received.unwrap_or_else(|_| panic!("call {} has no answer", stream / 2));
            if frame.stream == stream && frame.flags & END_STREAM != 0 && matches!(frame.kind, HEADERS | DATA)
            {
                break;
            }
        }
        // As hyper's client sends it.
        self.send(DATA, 0, stream, &MESSAGE).await;
        self.send(DATA, END_STREAM, stream, &[]).await;
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).await.expect("the connection is whole");
    }

    async fn receive(&mut self) -> Frame {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.expect("the connection is whole");
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]).try_into().expect("short")];
        self.stream.read_exact(&mut payload).await.expect("the connection is whole");
        let frame = Frame { kind, flags, stream: u32::from_be_bytes(stream), payload };
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload).await,
            RST_STREAM => self.resets += 1,
            GOAWAY => {
                let reason = String::from_utf8_lossy(&frame.payload[8..]);
                panic!("after {} calls the connection is closed: {reason}", self.next / 2);
            }
            _ => {}
        }
        frame
    }
}

/// A call, and the answer that it has to have: its HTTP status, and its gRPC status where that is in the headers.
struct Call<'a> {
    path: &'a str,
    authorization: &'a str,
    more: &'a [(&'a str, &'a str)],
    status: u16,
    grpc: Option<&'a str>,
}

impl Call<'_> {
    /// Each header written out in full.
    fn headers(&self) -> Vec<u8> {
        let mut block = Vec::new();
        let pseudo =
            [(":method", "POST"), (":scheme", "http"), (":path", self.path), (":authority", "localhost")];
        let usual =
            [("content-type", "application/grpc"), ("te", "trailers"), ("authorization", self.authorization)];
        for (name, value) in pseudo.iter().chain(&usual).chain(self.more) {
            // A literal that is not to be remembered, with a name of its own.
            block.push(0);
            for text in [name, value] {
                assert!(text.len() < 127, "one byte tells the length");
                block.push(u8::try_from(text.len()).expect("short"));
                block.extend(text.as_bytes());
            }
        }
        block
    }

    /// Makes it once with a client of the usual kind, and looks at the answer.
    async fn has_its_answer(&self, address: SocketAddr) {
        let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
        let mut request = client.post(format!("http://{address}{}", self.path)).body(MESSAGE.to_vec());
        request = request.header("content-type", "application/grpc").header("te", "trailers");
        request = request.header("authorization", self.authorization);
        for (name, value) in self.more {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        let grpc = answer.headers().get("grpc-status").and_then(|status| status.to_str().ok());
        assert_eq!((answer.status().as_u16(), grpc), (self.status, self.grpc), "{}", self.path);
    }

    /// Makes it thousands of times on one connection.
    async fn costs_nobody_the_connection(&self, address: SocketAddr) {
        self.has_its_answer(address).await;
        let headers = self.headers();
        let mut connection = Connection::to(address).await;
        for _ in 0..CALLS {
            connection.call(&headers).await;
        }
        // Each would have been reset. On a busy machine a few messages come later than they are waited for.
        assert!(connection.resets < CALLS / 50, "{}: {} resets", self.path, connection.resets);
    }
}

const UNAUTHENTICATED: Option<&str> = Some("16");
const PERMISSION_DENIED: Option<&str> = Some("7");
const UNIMPLEMENTED: Option<&str> = Some("12");

fn call<'a>(path: &'a str, authorization: &'a str, status: u16, grpc: Option<&'a str>) -> Call<'a> {
    Call { path, authorization, more: &[], status, grpc }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_service_keeps_the_connection() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).start();
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    let service = HolderStart { endpoints: vec![server.grpc], jwt }.start();
    let unknown = format!("Bearer {}", FakeGatekey::start().token(TokenType::Batch).mint());
    let path = "/transcribe.v1.BatchService/Describe";
    for call in [
        // By what it looks like, by the server's answer, and by its path.
        call(path, "Bearer nonsense", 200, UNAUTHENTICATED),
        call(path, &unknown, 200, UNAUTHENTICATED),
        call("/transcribe.v1.NoService/Describe", &unknown, 200, PERMISSION_DENIED),
    ] {
        call.costs_nobody_the_connection(service.address()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_the_connection() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).start();
    let verify = "/gatekey.v1.TokenService/VerifyToken";
    let forwarded = &[("x-forwarded-for", "192.0.2.1")];
    for call in [
        call(verify, "Bearer nonsense", 200, UNAUTHENTICATED),
        // A development server is for this machine alone.
        Call { more: forwarded, ..call(verify, "Bearer nonsense", 200, PERMISSION_DENIED) },
        // Who does not prove to be a gateway; its answer is a message.
        call("/envoy.service.auth.v3.Authorization/Check", "Bearer nonsense", 200, None),
        // Anyone may call the service.
        call("/grpc.health.v1.Health/Nope", "", 200, UNIMPLEMENTED),
    ] {
        call.costs_nobody_the_connection(server.grpc).await;
    }
    call("/api/v3/tokens", "Bearer nonsense", 401, None).costs_nobody_the_connection(server.http).await;
}
