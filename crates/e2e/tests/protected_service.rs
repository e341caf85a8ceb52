//! A protected service when Gatekey comes and goes, and open streams when their tokens go. What is revoked while things break is
//! shown by the tests of strict revocation, with the same service.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatekey_e2e::{
    FleetStart, HolderStart, OpenStream, Outcome, ROOMY, Server, Start, TestHolder, dev_token, reason,
};
use gatekey_examples::v1::DescribeRequest;
use gatekey_examples::v1::batch_service_client::BatchServiceClient;
use gatekey_examples::v1::realtime_service_client::RealtimeServiceClient;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::{Code, Request};

fn start(folder: &TempDir) -> Start {
    Start::in_folder(folder.path()).args(["--lease", "2"])
}

async fn service(folder: &TempDir, server: &Server) -> TestHolder {
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    let service = HolderStart { endpoints: vec![server.grpc], jwt }.start();
    timeout(ROOMY, service.gatekey().leased()).await.expect("in time");
    service
}

fn with<T>(value: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {value}").parse().expect("ASCII"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_has_its_service() {
    let folder = TempDir::new().expect("a folder");
    let server = start(&folder).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let service = service(&folder, &server).await;
    let (_, batch) = client.create_batch("batch").await;
    let (_, realtime) = client.create_realtime("realtime").await;
    let mut for_batch = BatchServiceClient::new(service.channel());
    let answer = for_batch.describe(with(&batch, DescribeRequest {})).await.expect("good");
    let caller = answer.into_inner().caller.expect("who called");
    assert_eq!((caller.tenant.as_str(), caller.name.as_str()), ("acme", "batch"));
    let refused =
        for_batch.describe(with(&realtime, DescribeRequest {})).await.expect_err("of the other type");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "gatekey/API_TOKEN_WRONG_TYPE")
    );
    let nothing = futures_util::stream::empty();
    let refused = RealtimeServiceClient::new(service.channel()).transcribe(with(&batch, nothing)).await;
    let refused = refused.expect_err("of the other type");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "gatekey/API_TOKEN_WRONG_TYPE")
    );
    let refused = for_batch.describe(DescribeRequest {}).await.expect_err("no token");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unauthenticated, "gatekey/API_TOKEN_MISSING")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_good_tokens_work_for_a_lease_and_are_unavailable_then() {
    let folder = TempDir::new().expect("a folder");
    let mut server = start(&folder).start();
    let address = server.grpc;
    let client = server.client(folder.path(), &["developer"], "acme");
    let service = service(&folder, &server).await;
    let (_, value) = client.create_batch("kept").await;
    let (_, unseen) = client.create_batch("never seen by the service").await;
    assert_eq!(service.check(&value).await.outcome, Outcome::Accepted);
    server.kill();
    assert_eq!(service.check(&unseen).await.outcome, Outcome::CannotTell);
    let mut cached = 0;
    let ended = async {
        loop {
            let checked = service.check(&value).await;
            match checked.outcome {
                Outcome::Accepted => cached += u32::from(checked.cached),
                Outcome::Rejected => panic!("a good token is rejected while nobody can tell"),
                Outcome::CannotTell => return,
            }
        }
    };
    timeout(ROOMY, ended).await.expect("the lease ends");
    assert!(service.gatekey().health().trouble.is_some());

    // A new server at the same address: what is in memory is used again, and nobody is asked for it.
    let remembered = service.gatekey().health().cached_tokens;
    let asked = service.gatekey().stats().asked;
    let _server = start(&folder).args(["--grpc-addr", &address.to_string()]).start();
    timeout(ROOMY, service.gatekey().leased()).await.expect("in time");
    let checked = service.check(&value).await;
    assert!(checked.outcome == Outcome::Accepted && checked.cached, "{checked:?}");
    assert_eq!(
        (service.gatekey().health().cached_tokens, service.gatekey().stats().asked),
        (remembered, asked)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_replica_is_left() {
    let fleet = FleetStart { replicas: 2, holders: 6, processes: 0, ..FleetStart::default() }.start().await;
    let token = fleet.warm_token().await;
    fleet.replicas[0].kill();
    // Each service loses its stream or not, and finds the other replica.
    let mut renewed = false;
    while !renewed {
        renewed = true;
        for holder in 0..fleet.holders.len() {
            let checked = fleet.check(holder, &token).await.expect("no panic").expect("an answer");
            assert_eq!(checked.outcome, Outcome::Accepted);
            renewed &= checked.cached;
        }
        let fresh = fleet.create(1).await.expect("the other replica is there");
        for holder in 0..fleet.holders.len() {
            let checked = fleet.check(holder, &fresh).await.expect("no panic").expect("an answer");
            assert_eq!(checked.outcome, Outcome::Accepted);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_on_revocation_and_on_expiry() {
    let folder = TempDir::new().expect("a folder");
    let server = start(&folder).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let service = service(&folder, &server).await;
    let (token, value) = client.create_realtime("revoked").await;
    let (_, other) = client.create_realtime("kept").await;
    let mut revoked = OpenStream::open(service.channel(), &value).await.expect("good");
    let mut kept = OpenStream::open(service.channel(), &other).await.expect("good");
    let receipt = client.delete(token.id).await.expect("deleted");
    assert_eq!(receipt.leases_waited_out, 0);
    let ended = revoked.ended().await;
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unauthenticated, "gatekey/API_TOKEN_INVALID"));
    kept.goes_on().await;

    let (token, value) = client.create_realtime("short").await;
    let url = format!("sqlite://{}", folder.path().join("gatekey.db").display());
    let mut store = SqliteConnection::connect(&url).await.expect("the store opens");
    let expires = SystemTime::now() + Duration::from_secs(2);
    let expires = expires.duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    // Nobody has asked for it yet, so nobody remembers it.
    sqlx::query("UPDATE token SET expire_time = $1 WHERE id = $2")
        .bind(i64::try_from(expires).expect("it fits"))
        .bind(token.id)
        .execute(&mut store)
        .await
        .expect("it is the test's own store");
    let mut short = OpenStream::open(service.channel(), &value).await.expect("good");
    assert_eq!(short.ended().await.code(), Code::Unauthenticated);
}
