//! A protected service over HTTP, in front of a real server: who may ask for what, and how what is open ends with its token.

use std::future::pending;
use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt, stream};
use gatekey_e2e::{Client, HolderStart, ROOMY, Server, Start, TestHolder, dev_token};
use gatekey_examples::v1::Caller;
use reqwest::{Body, ClientBuilder, Method, RequestBuilder, Response};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// More than what all the buffers between a client and a handler hold: once it is sent, the handler reads.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 256;

/// A server, a developer of its, and the service over HTTP.
struct Scene {
    developer: Client,
    address: SocketAddr,
    _holder: TestHolder,
    _server: Server,
    _folder: TempDir,
}

/// A client of the service.
struct Http {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Scene {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let server = Start::in_folder(folder.path()).start();
        let jwt = dev_token(folder.path(), &["--role", "verifier"]);
        let holder = HolderStart { endpoints: vec![server.grpc], jwt }.start();
        timeout(ROOMY, holder.gatekey().leased()).await.expect("in time");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(gatekey_examples::serve_http(listener, holder.gatekey().clone(), pending()));
        let developer = server.client(folder.path(), &["developer"], "acme");
        Self { developer, address, _holder: holder, _server: server, _folder: folder }
    }

    fn http(&self, client: ClientBuilder) -> Http {
        Http { client: client.no_proxy().build().expect("a client"), address: self.address }
    }

    /// Deletes a token. The service, which has it in memory, confirms.
    async fn delete(&self, id: i64) {
        let receipt = self.developer.delete(id).await.expect("deleted");
        assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (1, 0));
    }

    async fn socket(&self, value: &str) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Error> {
        let request = format!("ws://{}/v1/realtime", self.address).into_client_request();
        let mut request = request.expect("a request");
        let bearer = format!("Bearer {value}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        connect_async(request).await.map(|(socket, _)| socket)
    }
}

impl Http {
    fn request(&self, method: Method, path: &str, value: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(value)
    }

    async fn get(&self, path: &str, value: &str) -> Response {
        self.request(Method::GET, path, value).send().await.expect("an answer")
    }
}

/// Both versions of HTTP.
fn clients() -> [ClientBuilder; 2] {
    [reqwest::Client::builder().http1_only(), reqwest::Client::builder().http2_prior_knowledge()]
}

fn assert_refused(response: &Response, status: u16, code: &str) {
    let challenge = response.headers().get("www-authenticate").expect("a challenge");
    let challenge = challenge.to_str().expect("ASCII");
    assert_eq!(response.status(), status, "{challenge}");
    assert!(challenge.contains(&format!("error=\"{code}\"")), "{challenge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_has_its_routes() {
    let scene = Scene::new().await;
    let (_, batch) = scene.developer.create_batch("recorder").await;
    let (_, realtime) = scene.developer.create_realtime("captions").await;
    for client in clients() {
        let http = scene.http(client);
        for (path, value, name) in
            [("/v1/batch/caller", &batch, "recorder"), ("/v1/realtime/caller", &realtime, "captions")]
        {
            let caller: Caller = http.get(path, value).await.json().await.expect("a caller");
            assert_eq!((caller.tenant.as_str(), caller.name.as_str()), ("acme", name));
        }
        for (method, path, value) in [
            (Method::GET, "/v1/batch/caller", &realtime),
            (Method::POST, "/v1/uploads", &realtime),
            (Method::GET, "/v1/realtime/caller", &batch),
            (Method::GET, "/v1/realtime/events", &batch),
            (Method::GET, "/v1/realtime", &batch),
        ] {
            let refused = http.request(method, path, value).send().await.expect("an answer");
            assert_refused(&refused, 403, "insufficient_scope");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_ends_with_its_token() {
    let scene = Scene::new().await;
    for client in clients() {
        let http = scene.http(client);
        let (token, value) = scene.developer.create_batch("recorder").await;
        let (audio, mut sent) = mpsc::channel(1);
        let body = stream::poll_fn(move |context| sent.poll_recv(context)).map(Ok::<Vec<u8>, io::Error>);
        let upload = http.request(Method::POST, "/v1/uploads", &value).body(Body::wrap_stream(body));
        let upload = tokio::spawn(upload.send());
        for _ in 0..CHUNKS {
            audio.send(vec![0; CHUNK]).await.expect("the request is open");
        }
        scene.delete(token.id).await;
        let ended = timeout(ROOMY, upload).await.expect("in time").expect("no panic").expect("an answer");
        assert_refused(&ended, 401, "invalid_token");
        assert_refused(&http.get("/v1/batch/caller", &value).await, 401, "invalid_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_an_end_ends_with_its_token() {
    let scene = Scene::new().await;
    for client in clients() {
        let http = scene.http(client);
        let (token, value) = scene.developer.create_realtime("captions").await;
        let mut events = http.get("/v1/realtime/events", &value).await;
        assert_eq!(events.status(), 200);
        for number in 0..2 {
            let line = events.chunk().await.expect("no error").expect("a line");
            assert_eq!(line, format!("data: line {number}\n\n"));
        }
        scene.delete(token.id).await;
        // Lines may be on their way. The end is an error, so that nobody takes it for the whole.
        let ended = async {
            while let Ok(chunk) = events.chunk().await {
                assert!(chunk.is_some(), "it ended as if it were complete");
            }
        };
        timeout(ROOMY, ended).await.expect("in time");
        assert_refused(&http.get("/v1/realtime/events", &value).await, 401, "invalid_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_ends_with_its_token() {
    let scene = Scene::new().await;
    let (token, value) = scene.developer.create_realtime("captions").await;
    let (_, other) = scene.developer.create_realtime("another").await;
    let mut ends = scene.socket(&value).await.expect("good");
    let mut goes_on = scene.socket(&other).await.expect("good");
    for socket in [&mut ends, &mut goes_on] {
        socket.send(Message::text("hello")).await.expect("open");
        let answer = socket.next().await.expect("an answer").expect("no error");
        assert_eq!(answer, Message::text("heard 5 bytes"));
    }
    scene.delete(token.id).await;
    let ended = timeout(ROOMY, ends.next()).await.expect("in time").expect("a message").expect("no error");
    let Message::Close(Some(frame)) = ended else { panic!("something else than the end, and its reason") };
    assert_eq!(frame.code, CloseCode::Policy);
    goes_on.send(Message::text("hello")).await.expect("open");
    assert_eq!(goes_on.next().await.expect("an answer").expect("no error"), Message::text("heard 5 bytes"));

    let (_, batch) = scene.developer.create_batch("recorder").await;
    for (value, expected) in [(&value, 401), (&batch, 403)] {
        let Err(Error::Http(refused)) = scene.socket(value).await else { panic!("no refusal over HTTP") };
        assert_eq!(refused.status(), expected);
    }
}
