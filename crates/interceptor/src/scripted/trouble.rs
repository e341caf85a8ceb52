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

/// Until the server has refused so many calls more.
async fn refused(script: &Script, more: usize) {
    let mut refusals = script.refusals.subscribe();
    let before = *refusals.borrow_and_update();
    let refused = refusals.wait_for(|refusals| *refusals >= before + more);
    timeout(ROOMY, refused).await.expect("in time").expect("the server runs");
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
    refused(&script, 1).await;
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
    refused(&script, 3).await;
    assert!(gatekey.verify(&value, Rule::Batch).await.expect("under the lease").is_from_cache());
    script.away.store(false, Ordering::SeqCst);
    let mut stream = script.stream().await;
    stream.hello().await;
    assert!(!gatekey.health().is_leased(), "that stream has no lease yet");
}

#[tokio::test]
async fn a_new_jwt_that_nobody_takes_yet_ends_nothing() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, "first").expect("written");
    let mut script = Script::start().await;
    let builder = Gatekey::builder([format!("http://{}", script.address)]).bearer_file(&jwt);
    let clock = Clock::default();
    let gatekey = builder.clock(clock.clone()).connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.hello().await;
    stream.reset(1, 0);
    *script.refused.lock().expect("nobody panics") = Some("Bearer second".to_owned());
    std::fs::write(&jwt, "second").expect("written");
    clock.advance(Duration::from_secs(1));
    tokio::select! {
        never = stream.keep(1) => match never {},
        () = refused(&script, 2) => {}
    }
    // The first stream goes on meanwhile, and so does what proved the service on it.
    let check = check(&gatekey, &value());
    let question = tokio::select! {
        never = stream.keep(1) => match never {},
        question = script.question() => question,
    };
    reply(question, Verdict::Active);
    check.await.expect("no panic").expect("good");
    *script.refused.lock().expect("nobody panics") = None;
    let mut again = tokio::select! {
        never = stream.keep(1) => match never {},
        again = script.stream() => again,
    };
    assert_eq!(again.authorization.as_deref(), Some("Bearer second"));
    assert_eq!(again.hello().await.stream, 2);
}

/// Its issuer's key was withdrawn: no server takes it any more, though its stream goes on.
#[tokio::test]
async fn a_question_is_asked_by_the_newer_jwt_where_that_of_the_stream_is_taken_no_more() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, "first").expect("written");
    let mut script = Script::start().await;
    let builder = Gatekey::builder([format!("http://{}", script.address)]).bearer_file(&jwt);
    let clock = Clock::default();
    let gatekey = builder.clock(clock.clone()).connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    *script.refused.lock().expect("nobody panics") = Some("Bearer first".to_owned());
    std::fs::write(&jwt, "second").expect("written");
    clock.advance(Duration::from_secs(2));
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}

/// The stream by the one before has ended, and it is as good as it was.
#[tokio::test]
async fn the_jwt_that_was_taken_last_is_good_until_another_is_taken() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, "first").expect("written");
    let mut script = Script::start().await;
    let builder = Gatekey::builder([format!("http://{}", script.address)]).bearer_file(&jwt);
    let clock = Clock::default();
    let gatekey = builder.clock(clock.clone()).connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.lease().await;
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    *script.refused.lock().expect("nobody panics") = Some("Bearer second".to_owned());
    std::fs::write(&jwt, "second").expect("written");
    clock.advance(Duration::from_secs(2));
    drop(stream);
    let stream = script.stream().await;
    assert_eq!(stream.authorization.as_deref(), Some("Bearer first"));
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}

/// Elsewhere, a delete would wait for the lease that it had here.
#[tokio::test]
async fn a_new_jwt_is_shown_to_the_same_server() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, "first").expect("written");
    let mut scripts = [Script::start().await, Script::start().await, Script::start().await];
    let (book, clock) = (Arc::new(Book::default()), Clock::default());
    for (name, script) in ["one", "two", "three"].into_iter().zip(&scripts) {
        book.write(name, Entry::At(script.address));
    }
    let names = ["more", "one", "two", "three"].map(|name| format!("http://{name}:1"));
    let builder = Gatekey::builder(names).bearer_file(&jwt).clock(clock.clone());
    let _gatekey = builder.names(Names::Book(Arc::clone(&book))).connect().expect("good settings");
    let [one, two, three] = &mut scripts;
    let (mut stream, here) = tokio::select! {
        stream = one.stream() => (stream, one),
        stream = two.stream() => (stream, two),
        stream = three.stream() => (stream, three),
    };
    stream.hello().await;
    // From now on it has another place among them.
    book.write("more", Entry::At(gone()));
    std::fs::write(&jwt, "second").expect("written");
    clock.advance(Duration::from_secs(31));
    let mut again = tokio::select! {
        never = stream.keep(0) => match never {},
        again = here.stream() => again,
    };
    assert_eq!(again.authorization.as_deref(), Some("Bearer second"));
    assert_eq!(again.hello().await.stream, 2);
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
