//! SIGTERM with a call under way: the call may finish, for as long as the drain's bound.

use futures_util::StreamExt;
use gatekey_e2e::{Client, Database, Server, Start, reason};
use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::v1::{CreateTokenRequest, CreateTokenResponse, TokenType};
use prost::Message;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

/// A server with a create that waits for a lock which the test holds.
struct Held {
    _folder: TempDir,
    server: Server,
    client: Client,
    lock: PgConnection,
    create: JoinHandle<Result<CreateTokenResponse, Status>>,
}

async fn hold(drain_timeout: &str) -> Held {
    let folder = TempDir::new().expect("a folder");
    let database = Database::new().await;
    database.migrate();
    let args = ["--dev", "--database-url", &database.url, "--drain-timeout", drain_timeout];
    let server = Start::in_folder(folder.path()).args(args).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    client.create_batch("so that there is a tenant to lock").await;

    let mut lock = PgConnection::connect(&database.url).await.expect("it connects");
    lock.execute("BEGIN").await.expect("it begins");
    lock.execute("SELECT id FROM tenant FOR UPDATE").await.expect("it locks");
    let request = CreateTokenRequest {
        name: "under way".to_owned(),
        r#type: TokenType::Batch.into(),
        years_valid: 1,
        request_id: String::new(),
    };
    let caller = client.clone();
    let create = tokio::spawn(async move { caller.create(request).await });
    let mut observer = PgConnection::connect(&database.url).await.expect("it connects");
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut observer).await.expect("it counts") == 0 {}
    Held { _folder: folder, server, client, lock, create }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_may_finish() {
    let Held { mut server, client, mut lock, create, _folder } = hold("20").await;
    let request = HealthCheckRequest { service: "gatekey.v1.TokenService".to_owned() };
    let mut watch = client.health().watch(request).await.expect("a watch").into_inner();
    assert_eq!(watch.next().await.expect("one").expect("good").status(), ServingStatus::Serving);
    server.signal("TERM");
    assert_eq!(watch.next().await.expect("one").expect("good").status(), ServingStatus::NotServing);
    lock.execute("COMMIT").await.expect("it unlocks");
    let created = create.await.expect("no panic").expect("the call finishes well");
    assert!(created.token.is_some());
    assert_eq!(server.wait().code(), Some(0));
}

/// By plain HTTP/2: a gRPC library would end the call on its own side.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_can_not_be_kept_is_said_so() {
    let Held { server, client, mut lock, create, _folder } = hold("20").await;
    let credentials = client.request(()).metadata().get("authorization").expect("set").clone();
    let request = CreateTokenRequest {
        name: "too late".to_owned(),
        r#type: TokenType::Batch.into(),
        years_valid: 1,
        request_id: String::new(),
    };
    // A message's frame: not compressed, its length, itself.
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
    let frame = [&[0][..], &length, &message].concat();
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let answer = http
        .post(format!("http://{}/gatekey.v1.TokenService/CreateToken", server.grpc))
        .header("authorization", credentials.to_str().expect("ASCII"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "200m")
        .body(frame)
        .send()
        .await
        .expect("an answer");
    let status = Status::from_header_map(answer.headers()).expect("a gRPC status");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "gatekey/DEADLINE_EXCEEDED")
    );
    lock.execute("COMMIT").await.expect("it unlocks");
    create.await.expect("no panic").expect("the other call has no deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_finish_is_cut_off() {
    let Held { mut server, create, lock, _folder, .. } = hold("0").await;
    assert_eq!(server.terminate().code(), Some(0));
    assert!(create.await.expect("no panic").is_err());
    drop(lock);
}
