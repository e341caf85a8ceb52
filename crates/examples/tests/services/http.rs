//! Over HTTP: JSON, an upload, and a response without an end.

use std::net::SocketAddr;

use gatekey_examples::v1::{Caller, UploadResponse};
use gatekey_interceptor::{FakeGatekey, TokenType};
use reqwest::{Body, Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::{CHUNK, CHUNKS, start_http};

/// A client of one service.
struct Http {
    client: Client,
    address: SocketAddr,
}

impl Http {
    fn new(client: ClientBuilder, address: SocketAddr) -> Self {
        Self { client: client.no_proxy().build().expect("a client"), address }
    }

    async fn start(fake: &FakeGatekey) -> Self {
        Self::new(Client::builder(), start_http(fake).await)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    async fn get(&self, path: &str, value: &str) -> Response {
        self.request(Method::GET, path).bearer_auth(value).send().await.expect("an answer")
    }
}

fn challenge(response: &Response) -> Option<&str> {
    response.headers().get("www-authenticate").map(|value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn each_route_says_who_called() {
    let fake = FakeGatekey::start();
    let http = Http::start(&fake).await;
    for (kind, text) in [(TokenType::Batch, "batch"), (TokenType::Realtime, "realtime")] {
        let value = fake.token(kind).name("captions").tenant("globex").mint();
        let path = format!("/v1/{text}/caller");
        let caller: Caller = http.get(&path, &value).await.json().await.expect("a caller");
        let said = (caller.name.as_str(), caller.tenant.as_str(), caller.token_type.as_str());
        assert_eq!((said, caller.from_cache), (("captions", "globex", text), false));
        let caller: Caller = http.get(&path, &value).await.json().await.expect("a caller");
        assert!(caller.from_cache);
    }
}

#[tokio::test]
async fn a_request_that_is_refused_is_told_why() {
    let fake = FakeGatekey::start();
    let http = Http::start(&fake).await;
    let batch = fake.token(TokenType::Batch).mint();
    let realtime = fake.token(TokenType::Realtime).mint();
    let gone = fake.token(TokenType::Batch).mint();
    fake.revoke(&gone);

    let missing = http.request(Method::GET, "/v1/batch/caller").send().await.expect("an answer");
    assert_eq!((missing.status(), challenge(&missing)), (StatusCode::UNAUTHORIZED, Some("Bearer")));

    for value in ["nonsense", &gone] {
        let refused = http.get("/v1/batch/caller", value).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let challenge = challenge(&refused).expect("a challenge");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }

    for (path, value, scope) in [
        ("/v1/batch/caller", &realtime, "batch"),
        ("/v1/realtime/caller", &batch, "realtime"),
        ("/v1/realtime/events", &batch, "realtime"),
        ("/v1/realtime", &batch, "realtime"),
    ] {
        let refused = http.get(path, value).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        let challenge = challenge(&refused).expect("a challenge");
        let expected = format!("scope=\"{scope}\"");
        assert!(challenge.contains("error=\"insufficient_scope\""), "{path}: {challenge}");
        assert!(challenge.contains(&expected), "{path}: {challenge}");
    }

    fake.outage(true);
    let unknown = http.get("/v1/batch/caller", &batch).await;
    assert_eq!((unknown.status(), challenge(&unknown)), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert_eq!(unknown.headers()["retry-after"], "1");
}

#[tokio::test]
async fn what_has_no_rule_is_refused_and_livez_is_public() {
    let fake = FakeGatekey::start();
    let http = Http::start(&fake).await;
    let batch = fake.token(TokenType::Batch).mint();
    let livez = http.request(Method::GET, "/livez").send().await.expect("an answer");
    assert_eq!(livez.status(), StatusCode::OK);
    for (method, path) in [
        (Method::GET, "/v1/admin"),
        (Method::GET, "/v1/batch/caller/"),
        (Method::GET, "//v1/batch/caller"),
        (Method::GET, "/v1/uploads"),
        (Method::POST, "/livez"),
        (Method::DELETE, "/v1/batch/caller"),
    ] {
        let request = http.request(method.clone(), path).bearer_auth(&batch);
        let refused = request.send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
}

#[tokio::test]
async fn an_upload_that_is_done_says_how_long_it_was() {
    let fake = FakeGatekey::start();
    let http = Http::start(&fake).await;
    let batch = fake.token(TokenType::Batch).mint();
    let request = http.request(Method::POST, "/v1/uploads").bearer_auth(&batch).body(vec![0; 100_000]);
    let answer: UploadResponse = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer.bytes_received, 100_000);
    assert_eq!(answer.caller.expect("who called").token_type, "batch");
}

#[tokio::test]
async fn an_upload_ends_with_its_token() {
    let fake = FakeGatekey::start();
    let address = start_http(&fake).await;
    for client in [Client::builder(), Client::builder().http2_prior_knowledge()] {
        let http = Http::new(client, address);
        let batch = fake.token(TokenType::Batch).mint();
        let (send, chunks) = mpsc::channel(1);
        let chunks = Body::wrap_stream(ReceiverStream::new(chunks).map(Ok::<Vec<u8>, std::io::Error>));
        let request = http.request(Method::POST, "/v1/uploads").bearer_auth(&batch).body(chunks);
        let upload = tokio::spawn(request.send());
        for _ in 0..CHUNKS {
            send.send(vec![0; CHUNK]).await.expect("the request is open");
        }
        fake.revoke(&batch);
        let ended = upload.await.expect("no panic").expect("an answer");
        assert_eq!(ended.status(), StatusCode::UNAUTHORIZED, "{:?}", ended.version());
        let challenge = challenge(&ended).expect("a challenge");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
}

#[tokio::test]
async fn events_end_with_their_token() {
    let fake = FakeGatekey::start();
    let address = start_http(&fake).await;
    for client in [Client::builder(), Client::builder().http2_prior_knowledge()] {
        let http = Http::new(client, address);
        let realtime = fake.token(TokenType::Realtime).mint();
        let mut events = http.get("/v1/realtime/events", &realtime).await;
        assert_eq!(events.status(), StatusCode::OK);
        assert_eq!(events.headers()["content-type"], "text/event-stream");
        for number in 0..2 {
            let line = events.chunk().await.expect("no error").expect("a line");
            assert_eq!(line, format!("data: line {number}\n\n"));
        }
        fake.revoke(&realtime);
        // A line may be on its way. The end is an error, so that nobody takes it for the whole.
        while let Ok(chunk) = events.chunk().await {
            assert!(chunk.is_some(), "it ended as if it were complete: {:?}", events.version());
        }
    }
}
