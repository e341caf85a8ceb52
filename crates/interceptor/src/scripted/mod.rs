//! The whole interceptor against a server whose every word is a test's.

mod rotation;
pub(crate) mod script;
#[cfg(feature = "tls")]
mod tls;
mod trouble;

use std::time::Duration;

use gatekey_model::{PresentedToken, TokenPrefix, TokenValue};
use gatekey_proto::v1;
use gatekey_proto::v1::Verdict;
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::watch_request::Event as Said;
use gatekey_proto::v1::watch_response::Event as Told;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Status;

use crate::clock::Clock;
use crate::{Ended, Event, Gatekey, Refusal, Rule, TokenType, VerifiedToken};
use script::{LEASE, Question, ROOMY, Script, Stream, answer, at};

fn value() -> String {
    let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
    value.expose().to_owned()
}

fn digest(value: &str) -> Vec<u8> {
    PresentedToken::parse(value).expect("just made").digest().as_bytes().to_vec()
}

async fn connect() -> (Script, Gatekey) {
    let script = Script::start().await;
    let endpoint = format!("http://{}", script.address);
    let gatekey = Gatekey::builder([endpoint]).bearer("a.jwt").connect().expect("good settings");
    (script, gatekey)
}

async fn leased() -> (Script, Stream, Gatekey) {
    let (mut script, gatekey) = connect().await;
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    (script, stream, gatekey)
}

type Checked = Result<VerifiedToken, Refusal>;

/// A check that is under way.
fn check(gatekey: &Gatekey, value: &str) -> JoinHandle<Checked> {
    let (gatekey, value) = (gatekey.clone(), value.to_owned());
    tokio::spawn(async move { gatekey.verify(&value, Rule::Batch).await })
}

async fn checked(script: &mut Script, gatekey: &Gatekey, value: &str, verdict: Verdict) -> Checked {
    let check = check(gatekey, value);
    reply(script.question().await, verdict);
    check.await.expect("no panic")
}

fn reply(question: Question, verdict: Verdict) {
    question.1.send(Ok(answer(verdict))).expect("it waits");
}

fn revoke(stream: &Stream, seq: i64, value: &str) {
    stream.tell(Told::Invalidate(v1::Invalidate { position: at(seq), token_sha256: vec![digest(value)] }));
}

async fn acks(stream: &mut Stream, seq: i64) {
    while stream.said().await != Said::Ack(v1::Ack { position: at(seq), reset_id: 1 }) {}
}

/// Until somebody waits for the end of a token.
async fn guarded(gatekey: &Gatekey) {
    let waits = async {
        while gatekey.health().guarded_tokens == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(ROOMY, waits).await.expect("in time");
}

#[tokio::test]
async fn under_a_lease_an_answer_is_used_again_until_its_token_is_revoked() {
    let (mut script, mut stream, gatekey) = leased().await;
    let value = value();
    let first = checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    assert!(!first.is_from_cache());
    let again = gatekey.verify(&value, Rule::Batch).await.expect("good");
    assert!(again.is_from_cache() && again.id() == first.id());
    revoke(&stream, 1, &value);
    acks(&mut stream, 1).await;
    assert_eq!(
        checked(&mut script, &gatekey, &value, Verdict::Revoked).await.expect_err("gone"),
        Refusal::Invalid
    );
    // Known to be bad: nobody is asked.
    assert_eq!(gatekey.verify(&value, Rule::Batch).await.expect_err("gone"), Refusal::Invalid);
    assert_eq!(gatekey.stats().asked, 2);
}

#[tokio::test]
async fn the_value_never_leaves_the_service() {
    let (mut script, _stream, gatekey) = leased().await;
    let value = value();
    let check = check(&gatekey, &value);
    let question = script.question().await;
    assert_eq!(question.0.credential, Some(Credential::TokenSha256(digest(&value))));
    assert_eq!((question.0.position, question.0.required_type), (at(0), 0));
    reply(question, Verdict::Active);
    check.await.expect("no panic").expect("good");
}

#[tokio::test]
async fn without_a_lease_every_check_asks_and_what_has_expired_is_not_remembered() {
    let (mut script, gatekey) = connect().await;
    let _stream = script.stream().await;
    let value = value();
    for verdict in [Verdict::Active, Verdict::Active, Verdict::Expired, Verdict::Active] {
        let checked = checked(&mut script, &gatekey, &value, verdict).await;
        assert_eq!(checked.is_ok(), verdict == Verdict::Active);
    }
}

#[tokio::test]
async fn after_a_suspension_the_cache_is_not_used_before_a_new_lease() {
    let mut script = Script::start().await;
    let clock = Clock::default();
    let builder = Gatekey::builder([format!("http://{}", script.address)]).bearer("a.jwt");
    let gatekey = builder.clock(clock.clone()).connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.hello().await;
    stream.reset(1, 0);
    let asked_before = stream.renew(1).await;
    stream.grant(asked_before);
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    let value = value();
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    clock.advance(3 * LEASE);
    assert!(!gatekey.health().is_leased());
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    assert_eq!(gatekey.stats().cached, 0);
}

#[tokio::test]
async fn a_broken_stream_is_opened_anew_where_the_cache_stands() {
    let (mut script, stream, gatekey) = leased().await;
    let value = value();
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    drop(stream);
    let mut stream = script.stream().await;
    let hello = stream.hello().await;
    assert_eq!((hello.stream, hello.position, hello.holder.len()), (2, at(0), 16));
    assert!(!gatekey.health().is_leased());
    let id = stream.renew(0).await;
    stream.grant(id);
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    assert!(gatekey.verify(&value, Rule::Batch).await.expect("good").is_from_cache(), "the cache survived");
}

#[tokio::test]
async fn those_who_come_while_a_token_is_asked_for_look_again_and_never_take_the_answer() {
    let (mut script, _stream, gatekey) = leased().await;
    let value = value();
    let first = check(&gatekey, &value);
    let question = script.question().await;
    let late = check(&gatekey, &value);
    // It has looked once it waits: on this one thread, after it ran.
    tokio::task::yield_now().await;
    assert_eq!(gatekey.health().verifying, 1);
    question
        .1
        .send(Ok(v1::VerifyTokenResponse { cacheable: false, ..answer(Verdict::Active) }))
        .expect("it waits");
    first.await.expect("no panic").expect("good");
    // Nothing entered the cache, so the late one asks itself.
    reply(script.question().await, Verdict::Revoked);
    assert_eq!(late.await.expect("no panic").expect_err("gone"), Refusal::Invalid);
    assert_eq!(gatekey.stats().asked, 2);
}

#[tokio::test]
async fn one_who_asks_and_goes_away_leaves_its_answer_to_the_others() {
    let (mut script, _stream, gatekey) = leased().await;
    let value = value();
    let first = check(&gatekey, &value);
    let question = script.question().await;
    first.abort();
    let late = check(&gatekey, &value);
    tokio::task::yield_now().await;
    reply(question, Verdict::Active);
    assert!(late.await.expect("no panic").expect("good").is_from_cache());
    assert_eq!(gatekey.stats().asked, 1);
}

#[tokio::test]
async fn an_answer_from_before_a_revocation_or_a_reset_enters_nowhere() {
    let (mut script, mut stream, gatekey) = leased().await;
    let value = value();
    let tainted = check(&gatekey, &value);
    let question = script.question().await;
    revoke(&stream, 1, &value);
    acks(&mut stream, 1).await;
    reply(question, Verdict::Active);
    tainted.await.expect("no panic").expect("its request came before");
    assert_eq!(gatekey.health().cached_tokens, 0);

    let check = check(&gatekey, &value);
    let question = script.question().await;
    stream.reset(2, 0);
    stream.renew(2).await;
    reply(question, Verdict::Unknown);
    assert_eq!(check.await.expect("no panic").expect_err("then"), Refusal::Invalid);
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("of the new history");
}

#[tokio::test]
async fn the_guards_are_told_before_the_revocation_is_confirmed() {
    let (mut script, mut stream, gatekey) = leased().await;
    let value = value();
    let token = checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    let guard = tokio::spawn(token.revoked());
    guarded(&gatekey).await;
    let mut events = gatekey.events();
    revoke(&stream, 1, &value);
    acks(&mut stream, 1).await;
    assert_eq!(token.ended(), Some(Ended::Revoked));
    assert_eq!(guard.await.expect("no panic"), Ended::Revoked);
    // The lease may be told of after it is there.
    while events.recv().await.expect("an event")
        != (Event::Revoked { id: token.id(), key: token.key().into() })
    {}
}

#[tokio::test]
async fn a_guarded_token_of_which_the_stream_may_not_tell_is_verified_anew() {
    let (mut script, mut stream, gatekey) = leased().await;
    let value = value();
    // Its revocation came while it was asked for, so it is in no list when it is guarded.
    let tainted = check(&gatekey, &value);
    let question = script.question().await;
    revoke(&stream, 1, &value);
    acks(&mut stream, 1).await;
    reply(question, Verdict::Active);
    let token = tainted.await.expect("no panic").expect("its request came before");
    let guard = tokio::spawn(token.revoked());
    reply(script.question().await, Verdict::Revoked);
    assert_eq!(guard.await.expect("no panic"), Ended::Revoked);
}

#[tokio::test]
async fn after_a_reset_every_guarded_token_is_verified_anew() {
    let (mut script, mut stream, gatekey) = leased().await;
    let values = [value(), value()];
    let mut guards = Vec::new();
    for value in &values {
        let token = checked(&mut script, &gatekey, value, Verdict::Active).await.expect("good");
        guards.push((tokio::spawn(token.revoked()), token));
    }
    while gatekey.health().guarded_tokens < 2 {
        tokio::task::yield_now().await;
    }
    stream.reset(2, 7);
    let id = stream.renew(2).await;
    stream.grant(id);
    for _ in &values {
        let question = script.question().await;
        let lost = question.0.credential == Some(Credential::TokenSha256(digest(&values[0])));
        reply(question, if lost { Verdict::Unknown } else { Verdict::Active });
    }
    let (lost, _) = guards.remove(0);
    assert_eq!(lost.await.expect("no panic"), Ended::Revoked);
    let (good, token) = guards.remove(0);
    assert!(!good.is_finished() && token.ended().is_none());
    // The stream tells of the other from now on.
    stream.tell(Told::Invalidate(v1::Invalidate { position: at(8), token_sha256: vec![digest(&values[1])] }));
    assert_eq!(good.await.expect("no panic"), Ended::Revoked);
}

#[tokio::test]
async fn a_refusal_of_the_services_own_credentials_is_nobodys_401() {
    let (mut script, _stream, gatekey) = leased().await;
    for status in
        [Status::unauthenticated("expired"), Status::permission_denied("no verifier"), Status::internal("")]
    {
        let check = check(&gatekey, &value());
        script.question().await.1.send(Err(status)).expect("it waits");
        assert_eq!(check.await.expect("no panic").expect_err("cannot tell"), Refusal::Unverifiable);
    }
    let trouble = gatekey.health().trouble.expect("it is told");
    assert!(trouble.contains("VerifyToken: Internal"), "{trouble}");
}

#[tokio::test]
async fn answers_that_break_the_contract_are_no_accepts() {
    let (mut script, _stream, gatekey) = leased().await;
    let nameless = v1::VerifyTokenResponse { token: None, ..answer(Verdict::Active) };
    let unspecified = v1::VerifyTokenResponse { verdict: 0, ..answer(Verdict::Active) };
    let of_no_type = v1::VerifyTokenResponse {
        token: Some(v1::Token { r#type: 9, ..crate::known::tests::token(1) }),
        ..answer(Verdict::Active)
    };
    for broken in [nameless, unspecified, of_no_type] {
        let check = check(&gatekey, &value());
        script.question().await.1.send(Ok(broken)).expect("it waits");
        assert_eq!(check.await.expect("no panic").expect_err("cannot tell"), Refusal::Unverifiable);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_the_contract_is_left() {
    let (mut script, stream, gatekey) = leased().await;
    stream.tell.send(Ok(v1::WatchResponse { event: None })).expect("it listens");
    assert_eq!(script.stream().await.hello().await.stream, 2);
    let trouble = gatekey.health().trouble.expect("it is told");
    assert!(trouble.contains("breaks the contract"), "{trouble}");
}

#[tokio::test]
async fn another_server_is_taken_where_one_is_gone() {
    let mut script = Script::start().await;
    let gone =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let endpoints = [format!("http://{gone}"), format!("http://{}", script.address)];
    let gatekey = Gatekey::builder(endpoints).bearer("a.jwt").connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
    assert!(gatekey.health().endpoint.expect("a stream").contains(&script.address.to_string()));
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    let mut script = Script::start().await;
    // It resolves to the loopback of IPv4 and, on most machines, to that of IPv6, where nobody listens.
    let endpoint = format!("http://localhost:{}", script.address.port());
    let gatekey = Gatekey::builder([endpoint]).bearer("a.jwt").connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    let endpoint = gatekey.health().endpoint.expect("a stream");
    assert!(endpoint.starts_with("http://localhost:"), "{endpoint}");
}

#[tokio::test]
async fn a_release_is_said_and_nothing_after_it() {
    let (mut script, stream, gatekey) = leased().await;
    let said = all_said(stream);
    gatekey.shutdown().await;
    assert_eq!(said.await.expect("the stream ended").last(), Some(&Said::Release(v1::Release {})));
    assert!(!gatekey.health().is_leased());
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("it still serves");
}

#[tokio::test]
async fn who_drops_the_last_of_it_takes_leave_as_well() {
    let (_script, stream, gatekey) = leased().await;
    let said = all_said(stream);
    let layer = gatekey.layer(TokenType::Batch);
    drop(gatekey);
    assert!(!said.is_finished());
    drop(layer);
    assert_eq!(said.await.expect("the stream ended").last(), Some(&Said::Release(v1::Release {})));
}

fn all_said(mut stream: Stream) -> JoinHandle<Vec<Said>> {
    tokio::spawn(async move {
        let mut said = Vec::new();
        while let Ok(Some(message)) = stream.said.message().await {
            said.push(message.event.expect("something"));
        }
        said
    })
}

#[tokio::test]
async fn a_pause_that_no_clock_counts_can_be_told() {
    let (mut script, gatekey) = connect().await;
    let mut stream = script.stream().await;
    let first = stream.hello().await;
    stream.reset(1, 0);
    let id = stream.renew(1).await;
    stream.grant(id);
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    let value = value();
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    gatekey.reset();
    assert!(!gatekey.health().is_leased());
    assert_eq!(gatekey.health().cached_tokens, 0);
    checked(&mut script, &gatekey, &value, Verdict::Revoked).await.expect_err("it was asked");
    let again = script.stream().await.hello().await;
    assert_eq!((again.position, again.stream), (None, 1));
    // What this was copied from may go on under the first id, and deletes wait for that one too.
    assert_ne!(again.holder, first.holder);
}

#[tokio::test]
async fn verifications_at_once_are_bounded() {
    let mut script = Script::start().await;
    let builder =
        Gatekey::builder([format!("http://{}", script.address)]).bearer("a.jwt").max_verifications(1);
    let gatekey = builder.connect().expect("good settings");
    let first = check(&gatekey, &value());
    let question = script.question().await;
    assert_eq!(
        gatekey.verify(&value(), Rule::Batch).await.expect_err("one is under way"),
        Refusal::Overloaded
    );
    reply(question, Verdict::Active);
    first.await.expect("no panic").expect("good");
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}
