//! Servers that are not there, names that can't be resolved, and what is told of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::script::gone;
use super::*;
use crate::remote::Names;
use crate::remote::book::{Book, Entry};

/// An interceptor that knows its server by a name.
fn named(book: &Arc<Book>, clock: &Clock) -> Gatekey {
    let builder = Gatekey::builder(["http://gatekey:1"]).bearer("a.jwt");
    builder.clock(clock.clone()).names(Names::Book(Arc::clone(book))).connect().expect("good settings")
}

async fn cannot_tell(gatekey: &Gatekey) {
    let checked = gatekey.verify(&value(), Rule::Batch).await;
    assert_eq!(checked.expect_err("nobody is there"), Refusal::Unverifiable);
}

#[tokio::test]
async fn what_alternates_is_told_once() {
    let endpoints = [gone(), gone()].map(|address| format!("http://{address}"));
    let gatekey = Gatekey::builder(endpoints).bearer("a.jwt").connect().expect("good settings");
    let mut events = gatekey.events();
    for _ in 0..20 {
        cannot_tell(&gatekey).await;
    }
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        let Event::Trouble { what } = event else { panic!("{event:?}") };
        assert!(!told.contains(&what), "twice: {what}");
        told.push(what);
    }
    let both = told.iter().filter(|what| what.matches("VerifyToken").count() == 2).count();
    assert_eq!(both, 1, "all servers in one line: {told:?}");
}

#[tokio::test]
async fn trouble_is_over_once_a_server_answers() {
    let (mut script, mut stream, gatekey) = leased().await;
    for ends in ["an answer", "a grant"] {
        let check = check(&gatekey, &value());
        script.question().await.1.send(Err(Status::internal("once"))).expect("it waits");
        check.await.expect("no panic").expect_err("cannot tell");
        assert!(gatekey.health().trouble.is_some());
        if ends == "an answer" {
            checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
        } else {
            gatekey.shared().renew();
            let id = stream.renew(1).await;
            stream.grant(id);
            revoke(&stream, 1, &value());
            acks(&mut stream, 1).await;
        }
        assert_eq!(gatekey.health().trouble, None, "{ends}");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_again_once_all_its_servers_failed() {
    let mut script = Script::start().await;
    let book = Arc::new(Book::default());
    book.write("gatekey", Entry::At(gone()));
    let gatekey = named(&book, &Clock::default());
    let mut looks = book.looks.subscribe();
    timeout(ROOMY, looks.wait_for(|looks| *looks > 0)).await.expect("in time").expect("it is there");
    book.write("gatekey", Entry::At(script.address));
    // Not the 30 seconds for which a name is taken for resolved.
    let mut stream = timeout(Duration::from_secs(20), script.stream()).await.expect("soon");
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
}

#[tokio::test]
async fn a_name_is_looked_up_again_when_a_stream_under_a_lease_ends() {
    let mut script = Script::start().await;
    let book = Arc::new(Book::default());
    book.write("gatekey", Entry::At(script.address));
    let gatekey = named(&book, &Clock::default());
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    let looks = *book.looks.borrow();
    drop(stream);
    // Not the 30 seconds for which a name is taken for resolved.
    let mut looked = book.looks.subscribe();
    let again = looked.wait_for(|now| *now > looks);
    timeout(Duration::from_secs(20), again).await.expect("soon").expect("it is there");
}

#[tokio::test]
async fn who_leaves_between_two_streams_gives_its_lease_up_as_well() {
    let mut script = Script::start().await;
    let (book, clock) = (Arc::new(Book::default()), Clock::default());
    book.write("gatekey", Entry::At(script.address));
    let gatekey = named(&book, &clock);
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    // Before the next stream, there is no server any more.
    script.away.store(true, Ordering::SeqCst);
    drop(stream);
    script.refuses(1).await;
    assert!(gatekey.health().is_leased(), "no other stream has ended it");
    gatekey.shutdown().await;
    assert!(!gatekey.health().is_leased());
}

#[tokio::test]
async fn a_flood_does_not_keep_guarded_tokens_from_their_end() {
    let mut script = Script::start().await;
    let builder = Gatekey::builder([format!("http://{}", script.address)]).bearer("a.jwt");
    let builder = builder.max_verifications(1).verify_timeout(ROOMY);
    let gatekey = builder.connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    let guarded_value = value();
    let token = checked(&mut script, &gatekey, &guarded_value, Verdict::Active).await.expect("good");
    let guard = tokio::spawn(token.revoked());
    guarded(&gatekey).await;
    // The limit is used up for as long as this question has no answer.
    let flood = check(&gatekey, &value());
    let question = script.question().await;
    stream.reset(2, 7);
    let id = stream.renew(2).await;
    stream.grant(id);
    let anew = script.question().await;
    assert_eq!(anew.0.credential, Some(Credential::TokenSha256(digest(&guarded_value))));
    reply(anew, Verdict::Unknown);
    assert_eq!(guard.await.expect("no panic"), Ended::Revoked);
    reply(question, Verdict::Active);
    flood.await.expect("no panic").expect("good");
}

#[tokio::test]
async fn who_is_asked_to_go_elsewhere_releases_its_lease_and_goes() {
    let (mut script, mut stream, gatekey) = leased().await;
    let value = value();
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    stream.tell(Told::Leave(v1::Leave {}));
    while stream.said().await != Said::Release(v1::Release {}) {}
    assert!(!gatekey.health().is_leased(), "before it says so");
    assert!(stream.said.message().await.expect("no error").is_none(), "nothing comes after it");
    drop(stream);
    let mut stream = script.stream().await;
    assert_eq!(stream.hello().await.position, at(0), "where the cache stands");
    let id = stream.renew(0).await;
    stream.grant(id);
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    assert!(gatekey.verify(&value, Rule::Batch).await.expect("good").is_from_cache());
    assert_eq!(gatekey.health().trouble, None, "that was none");
}

/// A proxy takes the connection when there is no server behind it.
#[tokio::test]
async fn a_connection_that_leads_to_no_server_costs_no_lease() {
    let (mut script, stream, gatekey) = leased().await;
    let value = value();
    checked(&mut script, &gatekey, &value, Verdict::Active).await.expect("good");
    script.away.store(true, Ordering::SeqCst);
    drop(stream);
    script.refuses(3).await;
    assert!(gatekey.verify(&value, Rule::Batch).await.expect("under the lease").is_from_cache());
    script.away.store(false, Ordering::SeqCst);
    let mut stream = script.stream().await;
    stream.hello().await;
    assert!(!gatekey.health().is_leased(), "that stream has no lease yet");
}

#[tokio::test]
async fn a_name_that_hangs_keeps_no_other_from_being_used() {
    let mut script = Script::start().await;
    let book = Arc::new(Book::default());
    book.write("away", Entry::Hangs);
    book.write("here", Entry::At(script.address));
    let builder = Gatekey::builder(["http://away:1", "http://here:1"]).bearer("a.jwt");
    let gatekey = builder.names(Names::Book(Arc::clone(&book))).connect().expect("good settings");
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
}
