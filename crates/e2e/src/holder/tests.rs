//! A holder against a server whose every word is the test's.

mod script;

use std::sync::{Arc, Mutex};

use gatekey_proto::v1;
use gatekey_proto::v1::watch_request::Event as Said;
use gatekey_proto::v1::watch_response::Event as Told;
use gatekey_proto::v1::{Verdict, VerifyTokenResponse};
use tokio::task::JoinHandle;

use super::*;
use script::{LEASE, Script, Stream, answer, at};

fn digest(value: &str) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(value).to_vec()
}

async fn holder() -> (Script, TestHolder) {
    let script = Script::start().await;
    let start = HolderStart { endpoints: vec![script.address], first: 0, jwt: "a JWT".to_owned() };
    (script, start.start())
}

/// Polls, as whoever is told of a lease by another task has to.
async fn until(what: impl Fn() -> bool) {
    let polled = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(ROOMY, polled).await.expect("it comes about");
}

async fn leased() -> (Script, Stream, Arc<TestHolder>) {
    let (mut script, holder) = holder().await;
    let mut stream = script.stream().await;
    stream.lease().await;
    until(|| holder.leased()).await;
    (script, stream, Arc::new(holder))
}

/// A check that is under way.
fn check(holder: &Arc<TestHolder>, value: &'static str) -> JoinHandle<Checked> {
    let holder = Arc::clone(holder);
    tokio::spawn(async move { holder.check(value).await })
}

async fn checked(script: &mut Script, holder: &Arc<TestHolder>, verdict: Verdict) -> Outcome {
    let check = check(holder, "a");
    script.question().await.1.send(answer(verdict)).expect("it waits");
    check.await.expect("no panic").outcome
}

#[tokio::test]
async fn under_a_lease_an_answer_is_used_again_until_its_token_is_revoked() {
    let (mut script, mut stream, holder) = leased().await;
    assert_eq!(checked(&mut script, &holder, Verdict::Active).await, Outcome::Accepted);
    let again = holder.check("a").await;
    assert!(again.cached && again.outcome == Outcome::Accepted && again.invoked <= again.returned);

    stream.tell(Told::Invalidate(v1::Invalidate { position: at(1), token_sha256: vec![digest("a")] }));
    while stream.said().await != Said::Ack(v1::Ack { position: at(1), reset_id: 1 }) {}
    assert_eq!(checked(&mut script, &holder, Verdict::Revoked).await, Outcome::Rejected);
    let again = holder.check("a").await;
    assert!(again.cached && again.outcome == Outcome::Rejected);
}

#[tokio::test]
async fn without_a_lease_every_check_asks() {
    let (mut script, holder) = holder().await;
    let _stream = script.stream().await;
    let holder = Arc::new(holder);
    for verdict in [Verdict::Active, Verdict::Active, Verdict::Expired] {
        let outcome = if verdict == Verdict::Active { Outcome::Accepted } else { Outcome::Rejected };
        assert_eq!(checked(&mut script, &holder, verdict).await, outcome);
    }
}

#[tokio::test]
async fn after_a_suspension_the_cache_is_not_used_before_a_new_lease() {
    let mut script = Script::start().await;
    let clock = Clock::default();
    let start = HolderStart { endpoints: vec![script.address], first: 0, jwt: "a JWT".to_owned() };
    let holder = Arc::new(start.start_with(clock.clone()));
    let mut stream = script.stream().await;
    stream.hello().await;
    stream.reset(1, 0);
    let asked_before = stream.renew(1).await;
    stream.grant(asked_before);
    until(|| holder.leased()).await;
    assert_eq!(checked(&mut script, &holder, Verdict::Active).await, Outcome::Accepted);

    clock.suspend(3 * LEASE);
    assert!(!holder.leased());
    assert_eq!(checked(&mut script, &holder, Verdict::Active).await, Outcome::Accepted);
    assert_eq!(holder.counts().cached, 0);
}

#[tokio::test]
async fn a_broken_stream_is_opened_anew_where_the_cache_stands() {
    let (mut script, stream, holder) = leased().await;
    assert_eq!(checked(&mut script, &holder, Verdict::Active).await, Outcome::Accepted);
    drop(stream);
    let mut stream = script.stream().await;
    let hello = stream.hello().await;
    assert_eq!((hello.stream, hello.position, hello.holder.len()), (2, at(0), 16));
    assert!(!holder.leased());
    let id = stream.renew(0).await;
    stream.grant(id);
    until(|| holder.leased()).await;
    assert!(holder.check("a").await.cached, "the cache survived");
}

#[tokio::test]
async fn those_who_come_before_the_question_share_its_answer_and_later_ones_look_again() {
    let (mut script, _stream, holder) = leased().await;
    // On one thread, so both come before the leader goes on.
    let (first, second) = (check(&holder, "a"), check(&holder, "a"));
    let (asked, answer_first) = script.question().await;
    assert_eq!(asked.position, at(0));
    let late = check(&holder, "a");
    until(|| holder.shared.lock().flights.values().any(|flight| flight.receiver_count() == 2)).await;
    answer_first.send(VerifyTokenResponse { cacheable: false, ..answer(Verdict::Active) }).expect("it waits");
    for check in [first, second] {
        assert_eq!(check.await.expect("no panic").outcome, Outcome::Accepted);
    }
    // Nothing entered the cache, so the late one asks itself.
    script.question().await.1.send(answer(Verdict::Revoked)).expect("it waits");
    assert_eq!(late.await.expect("no panic").outcome, Outcome::Rejected);
    assert_eq!(holder.counts().asked, 2);
}

#[tokio::test]
async fn a_leader_that_goes_away_leaves_nobody_waiting() {
    let (mut script, _stream, holder) = leased().await;
    let leader = check(&holder, "a");
    let _unanswered = script.question().await;
    let late = check(&holder, "a");
    until(|| holder.shared.lock().flights.values().any(|flight| flight.receiver_count() == 1)).await;
    leader.abort();
    script.question().await.1.send(answer(Verdict::Active)).expect("it waits");
    assert_eq!(late.await.expect("no panic").outcome, Outcome::Accepted);
}

#[tokio::test]
async fn a_negative_answer_from_before_a_reset_is_not_kept() {
    let (mut script, mut stream, holder) = leased().await;
    let check = check(&holder, "a");
    let (_, answer_late) = script.question().await;
    stream.reset(2, 0);
    stream.renew(2).await;
    answer_late.send(answer(Verdict::Unknown)).expect("it waits");
    assert_eq!(check.await.expect("no panic").outcome, Outcome::Rejected);
    assert_eq!(checked(&mut script, &holder, Verdict::Active).await, Outcome::Accepted);
}

#[tokio::test]
async fn a_release_is_said_and_nothing_after_it() {
    let (_script, mut stream, holder) = leased().await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let server = tokio::spawn(async move {
        while let Ok(Some(message)) = stream.said.message().await {
            heard.lock().expect("whole").push(message.event.expect("something"));
        }
    });
    holder.release().await;
    server.await.expect("the stream ended");
    assert_eq!(said.lock().expect("whole").last(), Some(&Said::Release(v1::Release {})));
    assert!(!holder.leased());
}
