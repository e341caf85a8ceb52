//! Open realtime streams at a protected service: how soon the client sees them end after a delete, and after expiry.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gatekey_e2e::{Start, dev_token};
use gatekey_examples::v1::realtime_service_client::RealtimeServiceClient;
use gatekey_examples::v1::{TranscribeRequest, TranscribeResponse};
use gatekey_interceptor::Gatekey;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Streaming};

use crate::table::{Line, print, quantile};

/// How long the tokens that expire live, once they are in the store.
const SHORT: Duration = Duration::from_secs(2);
const EXPIRING: usize = 20;

/// A stream that is open, and that has answered once.
struct Open {
    _audio: mpsc::Sender<TranscribeRequest>,
    heard: Streaming<TranscribeResponse>,
}

impl Open {
    async fn new(channel: &Channel, value: &str) -> Self {
        let (audio, sent) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(sent));
        request.metadata_mut().insert("authorization", format!("Bearer {value}").parse().expect("ASCII"));
        let heard = RealtimeServiceClient::new(channel.clone()).transcribe(request).await.expect("a stream");
        let mut heard = heard.into_inner();
        audio.send(TranscribeRequest { audio: vec![0; 320] }).await.expect("it listens");
        heard.message().await.expect("no error").expect("an answer");
        Self { _audio: audio, heard }
    }

    /// When it ended.
    async fn end(mut self) -> (Instant, SystemTime) {
        let status = self.heard.message().await.expect_err("it is ended");
        let ended = (Instant::now(), SystemTime::now());
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
        ended
    }
}

pub(crate) async fn run(count: usize) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--log", "warn"]).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    let gatekey = Gatekey::builder([format!("http://{}", server.grpc)]).bearer(&jwt).connect();
    let gatekey = gatekey.expect("good settings");
    gatekey.leased().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(gatekey_examples::serve_grpc(listener, gatekey.clone(), std::future::pending()));
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("a URI").connect_lazy();

    let (mut from_call, mut after_return) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (token, value) = client.create_realtime("benchmark").await;
        let stream = tokio::spawn(Open::new(&channel, &value).await.end());
        let called = Instant::now();
        client.delete(token.id).await.expect("deleted");
        let returned = Instant::now();
        let (ended, _) = stream.await.expect("no panic");
        from_call.push((ended - called).as_secs_f64() * 1e3);
        after_return.push(ended.saturating_duration_since(returned).as_secs_f64() * 1e3);
    }
    let late = expire(&client, &channel, folder.path()).await;
    let p99 = quantile(&from_call, 0.99);
    let latest = quantile(&late, 1.0);
    print(&[
        Line {
            what: format!("an open realtime stream ends after DeleteToken was called, p99 of {count}"),
            figure: format!("{p99:.1} ms"),
            peer: format!("p50 {:.1} ms", quantile(&from_call, 0.5)),
            ratio: None,
            goal: "≤ 100 ms",
            met: Some(p99 <= 100.0),
        },
        Line {
            what: "the same, after DeleteToken returned, p99".to_owned(),
            figure: format!("{:.1} ms", quantile(&after_return, 0.99)),
            peer: format!("p50 {:.1} ms", quantile(&after_return, 0.5)),
            ratio: None,
            goal: "a figure only",
            met: None,
        },
        Line {
            what: format!("an open realtime stream ends after its token's expiry, the latest of {EXPIRING}"),
            figure: format!("{latest:.0} ms"),
            peer: format!("the earliest {:.0} ms", quantile(&late, 0.0)),
            ratio: None,
            goal: "≤ 1000 ms",
            met: Some(latest <= 1_000.0),
        },
    ]);
}

/// How many milliseconds after their tokens' expiry streams end.
async fn expire(client: &gatekey_e2e::Client, channel: &Channel, folder: &std::path::Path) -> Vec<f64> {
    let url = format!("sqlite://{}", folder.join("gatekey.db").display());
    let mut store = SqliteConnection::connect(&url).await.expect("the store");
    let mut streams = Vec::new();
    for _ in 0..EXPIRING {
        let (token, value) = client.create_realtime("benchmark").await;
        let expires = SystemTime::now() + SHORT;
        let micros = expires.duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
        // Nobody has asked for it yet, so nobody remembers it.
        sqlx::query("UPDATE token SET expire_time = $1 WHERE id = $2")
            .bind(i64::try_from(micros).expect("it fits"))
            .bind(token.id)
            .execute(&mut store)
            .await
            .expect("it is the test's own store");
        streams.push((expires, tokio::spawn(Open::new(channel, &value).await.end())));
    }
    let mut late = Vec::new();
    for (expires, stream) in streams {
        let (_, ended) = stream.await.expect("no panic");
        late.push(ended.duration_since(expires).map_or(0.0, |late| late.as_secs_f64() * 1e3));
    }
    late
}
