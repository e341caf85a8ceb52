//! Certificates that hold no longer while their connection stays open: the next call is refused, and a Watch ends.

use gatekey_e2e::{Client, ROOMY, TestAuthority, reason};
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::{self, Verdict};
use time::Duration;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::{Setting, VERIFIER, until};

/// A Watch that was greeted, and what keeps it open.
async fn watch(client: &Client) -> (tokio::sync::oneshot::Sender<()>, Streaming<v1::WatchResponse>) {
    let hello = v1::Hello { holder: vec![7; 16], ..v1::Hello::default() };
    let hello = v1::WatchRequest { event: Some(v1::watch_request::Event::Hello(hello)) };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let rest = futures_util::StreamExt::filter_map(futures_util::stream::once(ended), async |_| None);
    let sent = futures_util::StreamExt::chain(futures_util::stream::once(async { hello }), rest);
    let answer = RevocationServiceClient::new(client.channel()).watch(client.request(sent)).await;
    let mut heard = answer.expect("a stream").into_inner();
    heard.message().await.expect("no error").expect("it is greeted");
    (end, heard)
}

/// How the stream ends.
async fn end(mut heard: Streaming<v1::WatchResponse>) -> Status {
    let ended = async {
        loop {
            match heard.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ends as if all were well"),
                Err(status) => return status,
            }
        }
    };
    timeout(ROOMY, ended).await.expect("it ends")
}

fn is_refused(status: &Status, why: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (Code::Unauthenticated, "gatekey/CREDENTIALS_INVALID")
    );
    assert!(status.message().contains(why), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_is_no_caller_any_more() {
    let setting = Setting::new();
    let server = setting.start();
    let (_, value) = setting.developer(&server).create_batch("a").await;
    // Long enough for the calls before, on a machine that is busy.
    let short = setting.clients.client_for(&[VERIFIER], Duration::seconds(10));
    let client = setting.client(&server, Some(&short), None);
    assert_eq!(client.verdict(&value).await, Verdict::Active);
    let (_end, heard) = watch(&client).await;
    let mut refused = None;
    until("the next call is refused", async || {
        refused = client.verify(&value).await.err();
        refused.is_some()
    })
    .await;
    // On the same connection: a new one is not made with it.
    is_refused(&refused.expect("just now"), "the client certificate has expired");
    is_refused(&end(heard).await, "the client certificate has expired");
    let again = setting.client(&server, Some(&short), None).verify(&value).await.expect_err("no connection");
    assert_ne!(again.code(), Code::Unauthenticated, "it is refused in the handshake");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_removed_vouches_for_nobody_any_more() {
    let setting = Setting::new();
    let server = setting.start();
    let (_, value) = setting.developer(&server).create_batch("a").await;
    let client = setting.verifier(&server);
    assert_eq!(client.verdict(&value).await, Verdict::Active);
    let (_end, heard) = watch(&client).await;

    // Overlap: the old one is still there.
    let new = TestAuthority::new();
    setting.trust(&[&setting.clients, &new]);
    server.signal("HUP");
    let by_new = setting.client(&server, Some(&new.client(&[VERIFIER])), None);
    until("the new authority is known", async || {
        setting.client(&server, Some(&new.client(&[VERIFIER])), None).verify(&value).await.is_ok()
    })
    .await;
    assert_eq!(by_new.verdict(&value).await, Verdict::Active);
    assert_eq!(client.verdict(&value).await, Verdict::Active);

    setting.trust(&[&new]);
    server.signal("HUP");
    let mut refused = None;
    until("the old authority is forgotten", async || {
        refused = client.verify(&value).await.err();
        refused.is_some()
    })
    .await;
    is_refused(&refused.expect("just now"), "no authority that this server trusts now");
    is_refused(&end(heard).await, "no authority that this server trusts now");
    assert_eq!(by_new.verdict(&value).await, Verdict::Active);

    // The connection was never closed: it is a caller's again with its authority.
    setting.trust(&[&setting.clients]);
    server.signal("HUP");
    until("the old authority is back", async || client.verify(&value).await.is_ok()).await;
}
