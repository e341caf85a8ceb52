//! Leases at one server: what a restart, a deadline and an ill-behaved holder come to.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gatekey_e2e::{Client, ROOMY, Server, Start, TestIssuer, reason, violations};
use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::v1;
use gatekey_proto::v1::Verdict;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::watch_request::Event as Up;
use gatekey_proto::v1::watch_response::Event as Down;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

fn start(folder: &TempDir) -> Server {
    Start::in_folder(folder.path()).args(["--lease", "2"]).start()
}

fn client(server: &Server, folder: &TempDir) -> Client {
    server.client(folder.path(), &["developer", "verifier"], "acme")
}

/// A holder's stream, by hand.
struct Watch {
    say: mpsc::Sender<v1::WatchRequest>,
    hear: Streaming<v1::WatchResponse>,
}

impl Watch {
    async fn open(client: &Client, first: Up) -> Result<Self, Status> {
        let (say, mut said) = mpsc::channel(8);
        say.send(v1::WatchRequest { event: Some(first) }).await.expect("it is open");
        let outbound = futures_util::stream::poll_fn(move |context| said.poll_recv(context));
        let mut service = RevocationServiceClient::new(client.channel());
        let hear = service.watch(client.request(outbound)).await?.into_inner();
        Ok(Self { say, hear })
    }

    async fn say(&self, event: Up) {
        self.say.send(v1::WatchRequest { event: Some(event) }).await.expect("it is open");
    }

    /// The next message; nothing at the stream's end.
    async fn next(&mut self) -> Result<Option<Down>, Status> {
        let message = timeout(ROOMY, self.hear.message()).await.expect("an answer")?;
        Ok(message.map(|message| message.event.expect("an event")))
    }

    /// Carries the first Reset out and gets a lease; its length.
    async fn lease(&mut self) -> Duration {
        let Ok(Some(Down::Reset(v1::Reset { id, position, .. }))) = self.next().await else {
            panic!("no Reset")
        };
        self.say(Up::Ack(v1::Ack { position, reset_id: id })).await;
        self.say(Up::Renew(v1::Renew { id: 7, reset_id: id })).await;
        let Ok(Some(Down::Grant(v1::Grant { id: 7, ttl }))) = self.next().await else { panic!("no grant") };
        ttl.and_then(|ttl| Duration::try_from(ttl).ok()).expect("a length")
    }
}

fn hello(holder: u8, stream: u64) -> Up {
    Up::Hello(v1::Hello { holder: vec![holder; 16], position: None, stream, epoch: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_first_delete_waits_for_the_process_before_and_after_a_clean_stop_it_does_not() {
    let folder = TempDir::new().expect("a folder");
    let mut server = start(&folder);
    let before = client(&server, &folder);
    let tokens = [before.create_batch("one").await.0, before.create_batch("two").await.0];
    server.kill();

    let mut server = start(&folder);
    let receipt = client(&server, &folder).delete(tokens[0].id).await.expect("deleted");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (0, 1));
    // Until its row was seen to stand still for as long.
    let again = client(&server, &folder);
    let started = Instant::now();
    while again.delete(again.create_batch("more").await.0.id).await.expect("deleted").leases_waited_out > 0 {
        assert!(started.elapsed() < ROOMY, "the row of the process before is never removed");
    }
    assert!(server.terminate().success());

    let server = start(&folder);
    let receipt = client(&server, &folder).delete(tokens[1].id).await.expect("deleted");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_waits_for_a_silent_holder_and_says_so_before_the_callers_deadline() {
    let folder = TempDir::new().expect("a folder");
    let server = start(&folder);
    let client = client(&server, &folder);
    let (token, value) = client.create_batch("kept").await;
    let mut watch = Watch::open(&client, hello(1, 1)).await.expect("a stream");
    let ttl = watch.lease().await;
    assert!(ttl <= Duration::from_secs(2) && ttl > Duration::ZERO, "{ttl:?}");

    // It says nothing from now on.
    let mut impatient = client.request(v1::DeleteTokenRequest { id: token.id });
    impatient.set_timeout(Duration::from_millis(500));
    let pending = TokenServiceClient::new(client.channel()).delete_token(impatient).await;
    let pending = pending.expect_err("the holder has not confirmed");
    assert_eq!(
        (pending.code(), reason(&pending).as_str()),
        (Code::DeadlineExceeded, "gatekey/REVOCATION_PENDING")
    );
    let info = pending.get_error_details().error_info().cloned().expect("details");
    let left: u64 = info.metadata["effective_in_ms"].parse().expect("a number");
    assert!(left > 0 && left <= 2_500, "{left}");
    // It is committed: no replica takes it any more.
    assert_eq!(client.verdict(&value).await, Verdict::Revoked);

    // The repeat waits for the same revocation, and returns when the lease is over.
    let receipt = client.delete(token.id).await.expect("in force");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (0, 1));
    let told = watch.next().await.expect("no error");
    assert!(matches!(&told, Some(Down::Invalidate(told)) if told.position == receipt.revision), "{told:?}");

    // With a holder that confirms, nothing is waited for.
    watch.say(Up::Ack(v1::Ack { position: receipt.revision, reset_id: 1 })).await;
    watch.say(Up::Renew(v1::Renew { id: 8, reset_id: 1 })).await;
    assert!(matches!(watch.next().await, Ok(Some(Down::Grant(v1::Grant { id: 8, .. })))));
    let (second, _) = client.create_batch("second").await;
    let (receipt, told) = tokio::join!(client.delete(second.id), async {
        let Ok(Some(Down::Invalidate(told))) = watch.next().await else { panic!("not told") };
        watch.say(Up::Ack(v1::Ack { position: told.position, reset_id: 1 })).await;
        told
    });
    let receipt = receipt.expect("in force");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (1, 0));
    assert_eq!((told.token_sha256.len(), told.position), (1, receipt.revision));

    // Nor for one that has taken its leave.
    watch.say(Up::Release(v1::Release {})).await;
    assert!(matches!(watch.next().await, Ok(None)), "the server ends the stream");
    let (third, _) = client.create_batch("third").await;
    let receipt = client.delete(third.id).await.expect("in force");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_comes_back_gets_what_it_missed_and_a_late_hello_does_not_replace_it() {
    let folder = TempDir::new().expect("a folder");
    let server = start(&folder);
    let client = client(&server, &folder);
    let mut watch = Watch::open(&client, hello(1, 1)).await.expect("a stream");
    let Ok(Some(Down::Reset(reset))) = watch.next().await else { panic!("no Reset") };
    drop(watch);
    let (token, _) = client.create_batch("missed").await;
    let receipt = client.delete(token.id).await.expect("nobody holds a lease");
    assert_eq!(receipt.leases_waited_out, 0);

    let back = v1::Hello { holder: vec![1; 16], position: reset.position, stream: 3, epoch: reset.epoch };
    let mut watch = Watch::open(&client, Up::Hello(back)).await.expect("a stream");
    let Ok(Some(Down::Invalidate(missed))) = watch.next().await else { panic!("no delta") };
    assert_eq!((missed.position, missed.token_sha256.len()), (receipt.revision, 1));

    let mut late = Watch::open(&client, hello(1, 2)).await.expect("a stream");
    assert!(matches!(late.next().await, Ok(None)), "the older stream is ended");
    watch.say(Up::Renew(v1::Renew { id: 1, reset_id: 0 })).await;
    assert!(matches!(watch.next().await, Ok(Some(Down::Grant(_)))), "the newer one goes on");

    let mut unknown = Watch::open(
        &client,
        Up::Hello(v1::Hello {
            holder: vec![2; 16],
            position: Some(v1::Position { seq: 0, nonce: 12 }),
            stream: 1,
            epoch: reset.epoch,
        }),
    )
    .await
    .expect("a stream");
    assert!(matches!(unknown.next().await, Ok(Some(Down::Reset(_)))), "another history begins anew");
    let epoch =
        v1::Hello { holder: vec![3; 16], position: receipt.revision, stream: 1, epoch: reset.epoch + 1 };
    let mut restored = Watch::open(&client, Up::Hello(epoch)).await.expect("a stream");
    assert!(
        matches!(restored.next().await, Ok(Some(Down::Reset(_)))),
        "another epoch does, with the same log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_a_stream_is_named() {
    let folder = TempDir::new().expect("a folder");
    let server = start(&folder);
    let client = client(&server, &folder);
    let position = |seq| Some(v1::Position { seq, nonce: 1 });
    let short = v1::Hello { holder: vec![1; 15], position: position(-1), stream: 1, epoch: 0 };
    let renew = Up::Renew(v1::Renew { id: 1, reset_id: 0 });
    let mut at_first = Vec::new();
    for first in [Up::Hello(short), renew.clone(), Up::Release(v1::Release {})] {
        let mut watch = Watch::open(&client, first).await.expect("a stream");
        at_first.push(watch.next().await.expect_err("refused"));
    }
    let mut later = Vec::new();
    for second in [hello(1, 2), Up::Ack(v1::Ack { position: None, reset_id: 0 })] {
        let mut watch = Watch::open(&client, hello(1, 1)).await.expect("a stream");
        watch.next().await.expect("a Reset");
        watch.say(second).await;
        later.push(watch.next().await.expect_err("refused"));
    }
    let named = |status: &Status| -> Vec<(String, String)> {
        assert_eq!(
            (status.code(), reason(status).as_str()),
            (Code::InvalidArgument, "gatekey/INVALID_REQUEST")
        );
        let all = violations(status).into_iter();
        all.map(|violation| (violation.field, violation.reason)).collect()
    };
    let pair = |field: &str, reason: &str| (field.to_owned(), reason.to_owned());
    let event = vec![pair("event", "WATCH_EVENT_INVALID")];
    assert_eq!(
        named(&at_first[0]),
        [pair("hello.holder", "HOLDER_INVALID"), pair("position", "POSITION_INVALID")]
    );
    assert_eq!(named(&at_first[1]), event);
    assert_eq!(named(&at_first[2]), event);
    assert_eq!(named(&later[0]), event);
    assert_eq!(named(&later[1]), [pair("ack.position", "POSITION_INVALID")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_verifiers_and_their_streams_end_with_their_credentials() {
    let folder = TempDir::new().expect("a folder");
    let issuer = TestIssuer::new("https://login.example.com");
    let server = Start::in_folder(folder.path()).trusting(&issuer, folder.path()).start();
    let developer = issuer.sign(&issuer.claims("ada", &["developer", "verifier"], Some("acme")));
    let refused = Watch::open(&server.client_with(&developer), hello(1, 1)).await.err().expect("refused");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "gatekey/ROLE_REQUIRED")
    );
    let refused = Watch::open(&server.stranger(), hello(1, 1)).await.err().expect("refused");
    assert_eq!(refused.code(), Code::Unauthenticated);

    // Clocks may differ by 30 seconds, so what has expired already opens a stream, and ends it.
    let mut claims = issuer.claims("gateway", &[], None);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    claims["exp"] = json!(now - 1);
    let mut watch =
        Watch::open(&server.client_with(&issuer.sign(&claims)), hello(1, 1)).await.expect("a stream");
    let ended = loop {
        match watch.next().await {
            Ok(message) => assert!(message.is_some(), "it ends with a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::Unauthenticated, "gatekey/CREDENTIALS_INVALID")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_ends_the_streams_and_waits_for_its_grants() {
    let folder = TempDir::new().expect("a folder");
    let mut server = start(&folder);
    let client = client(&server, &folder);
    let request = || HealthCheckRequest { service: "gatekey.v1.RevocationService".to_owned() };
    let health = client.health().check(request()).await.expect("an answer");
    assert_eq!(health.get_ref().status(), ServingStatus::Serving);
    let (token, _) = client.create_batch("kept").await;
    let mut watch = Watch::open(&client, hello(1, 1)).await.expect("a stream");
    watch.lease().await;
    server.signal("TERM");
    assert!(matches!(watch.next().await, Ok(Some(Down::Leave(_)))), "it is asked to go elsewhere");
    assert!(matches!(watch.next().await, Ok(None)), "it does nothing of it, and its stream ends");
    assert!(server.wait().success());

    let server = start(&folder);
    let receipt = self::client(&server, &folder).delete(token.id).await.expect("in force");
    assert_eq!(receipt.leases_waited_out, 0, "the server before left no row behind");
}
