//! Issuers that are down, slow or broken: nobody can tell, and that is neither a yes nor a no.

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::net::TcpListener;

use super::fixture::{Fixture, KEY_ID, claims, jwt, jwt_named, pass, set_of, settings};
use super::issuer_server::{Answer, IssuerServer};
use super::signing_key::SigningKey;
use crate::auth::JwksSource;
use crate::auth::jwks::{FETCH_TIMEOUT, MAX_AGE, MIN_INTERVAL, OUTAGE_NEWS};
use crate::auth::jwks_source::MAX_BYTES;

const MADE_UP: &str = "(kid) is not one of the issuer's";

#[tokio::test]
async fn nobody_can_tell_while_the_issuer_is_down_at_first() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Status(503)).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let token = jwt(&key, &claims());
    join_all((0..50).map(|_| fixture.cannot_tell(&token))).await;
    assert_eq!(server.hits(), 1);
    server.answer(Answer::Set(set_of(&[key.jwk(KEY_ID)])));
    fixture.cannot_tell(&token).await;
    pass(MIN_INTERVAL).await;
    fixture.accepted(&token).await;
    assert_eq!(server.hits(), 2);
    pass(MIN_INTERVAL).await;
    fixture.refused(&jwt_named(&key, "made up"), MADE_UP).await;
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn nobody_can_tell_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound")).parse().expect("a URL");
    drop(listener);
    let fixture = Fixture::of(vec![settings(JwksSource::Url(url))]).await;
    fixture.cannot_tell(&jwt(&SigningKey::ed25519(), &claims())).await;
}

#[tokio::test]
async fn what_is_no_set_of_keys_tells_nothing() {
    let key = SigningKey::ed25519();
    let set = set_of(&[key.jwk(KEY_ID)]);
    let elsewhere = IssuerServer::start(Answer::Set(set.clone())).await;
    let server = IssuerServer::start(Answer::Endless).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let answers = [
        Answer::Endless,
        Answer::Status(500),
        Answer::Status(404),
        Answer::Status(204),
        Answer::Status(304),
        Answer::SetUnder(500, set.clone()),
        Answer::SetUnder(404, set.clone()),
        Answer::RedirectTo(elsewhere.url().to_string()),
        Answer::Text(String::new()),
        Answer::Text("<html>sign in</html>".to_owned()),
        Answer::Text(r#"{"keys":[]}"#.to_owned()),
        Answer::Text(r#"{"error":"gone"}"#.to_owned()),
    ];
    for (tries, answer) in (1..).zip(answers) {
        server.answer(answer);
        fixture.cannot_tell(&jwt(&key, &claims())).await;
        assert_eq!(server.hits(), tries);
        pass(MIN_INTERVAL).await;
    }
    assert_eq!(elsewhere.hits(), 0, "a redirect is not followed");
    server.answer(Answer::Set(set));
    fixture.accepted(&jwt(&key, &claims())).await;
}

#[tokio::test]
async fn a_set_has_a_mebibyte_at_the_most() {
    let key = SigningKey::ed25519();
    let padded = |bytes: usize| {
        let set = set_of(&[key.jwk(KEY_ID)]).to_string();
        Answer::Text(format!("{set}{}", " ".repeat(bytes - set.len())))
    };
    let server = IssuerServer::start(padded(MAX_BYTES + 1)).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    fixture.cannot_tell(&jwt(&key, &claims())).await;
    server.answer(padded(MAX_BYTES));
    pass(MIN_INTERVAL).await;
    fixture.accepted(&jwt(&key, &claims())).await;
}

#[tokio::test]
async fn a_slow_issuer_is_not_waited_for_longer_than_a_fetch_may_last() {
    let key = SigningKey::ed25519();
    for answer in [Answer::Stalled, Answer::Held(set_of(&[key.jwk(KEY_ID)]))] {
        let server = IssuerServer::start(answer).await;
        let fixture = Fixture::of(vec![settings(server.source())]).await;
        let token = jwt(&key, &claims());
        let time = async {
            server.arrived().await;
            pass(FETCH_TIMEOUT).await;
        };
        tokio::join!(join_all((0..50).map(|_| fixture.cannot_tell(&token))), time);
        assert_eq!(server.hits(), 1);
    }
}

#[tokio::test]
async fn known_keys_go_on_while_the_issuer_is_down() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let (known, unknown) = (jwt(&key, &claims()), jwt_named(&key, "unknown"));
    fixture.accepted(&known).await;
    server.answer(Answer::Status(500));
    pass(MIN_INTERVAL).await;
    fixture.cannot_tell(&unknown).await;
    fixture.accepted(&known).await;
    for _ in 0..3 {
        pass(MAX_AGE).await;
        fixture.accepted(&known).await;
        fixture.cannot_tell(&unknown).await;
    }
    assert_eq!(server.hits(), 5);
    server.answer(Answer::Set(set_of(&[key.jwk(KEY_ID)])));
    pass(MIN_INTERVAL).await;
    fixture.refused(&unknown, MADE_UP).await;
    fixture.accepted(&known).await;
}

/// An issuer that hangs is worse than one that is down: only the first callers may feel it.
#[tokio::test]
async fn callers_with_known_keys_wait_for_a_hanging_issuer_only_once() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk("old")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let known = jwt_named(&old, "old");
    fixture.accepted(&known).await;
    server.arrived().await;
    server.answer(Answer::Held(set_of(&[new.jwk("new")])));
    pass(MAX_AGE).await;
    let time = async {
        server.arrived().await;
        pass(FETCH_TIMEOUT).await;
    };
    tokio::join!(fixture.accepted(&known), time);
    // From here on the issuer is asked behind the callers' backs.
    for hits in 3..6 {
        pass(MIN_INTERVAL).await;
        fixture.accepted(&known).now_or_never().expect("nobody is waited for");
        server.arrived().await;
        fixture.accepted(&known).now_or_never().expect("nobody is waited for");
        assert_eq!(server.hits(), hits);
        pass(FETCH_TIMEOUT).await;
        // Comes back when the fetch is over.
        fixture.cannot_tell(&jwt_named(&new, "new")).await;
    }
    // And it takes back the old key as soon as it answers again.
    pass(MIN_INTERVAL).await;
    fixture.accepted(&known).now_or_never().expect("nobody is waited for");
    server.arrived().await;
    server.release();
    fixture.accepted(&jwt_named(&new, "new")).await;
    fixture.cannot_tell(&known).await;
    server.answer(Answer::Set(set_of(&[new.jwk("new")])));
    pass(MIN_INTERVAL).await;
    fixture.refused(&known, MADE_UP).await;
}

/// An outage that was long ago says nothing of today: the keys are read before they are used.
#[tokio::test]
async fn old_news_of_an_outage_lets_no_withdrawn_key_through() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk("old")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
    server.answer(Answer::Status(500));
    pass(MAX_AGE).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
    server.answer(Answer::Set(set_of(&[new.jwk("new")])));
    pass(OUTAGE_NEWS).await;
    fixture.refused(&jwt_named(&old, "old"), MADE_UP).await;
}
