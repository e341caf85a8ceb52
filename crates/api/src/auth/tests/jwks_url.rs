//! Keys by URL: fetched when they are needed, and not more often.

use futures_util::future::join_all;
use serde_json::json;

use super::fixture::{Fixture, KEY_ID, claims, header, jwt, jwt_by, jwt_named, pass, set_of, settings, with};
use super::issuer_server::{Answer, IssuerServer};
use super::signing_key::SigningKey;
use crate::auth::jwks::{MAX_AGE, MIN_INTERVAL};

const MADE_UP: &str = "(kid) is not one of the issuer's";

#[tokio::test]
async fn keys_are_fetched_once_at_first_need() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    assert_eq!(server.hits(), 0);
    let tokens: Vec<String> =
        (0..50).map(|n| jwt(&key, &with(claims(), "sub", json!(format!("user {n}"))))).collect();
    join_all(tokens.iter().map(|token| fixture.accepted(token))).await;
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn a_new_key_works_at_once() {
    let (old, new) = (SigningKey::p256(), SigningKey::rsa());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk("old")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
    pass(MIN_INTERVAL).await;
    server.answer(Answer::Set(set_of(&[old.jwk("old"), new.jwk("new")])));
    fixture.accepted(&jwt_named(&new, "new")).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn a_flood_of_made_up_keys_is_no_flood_at_the_issuer() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    fixture.accepted(&jwt(&key, &claims())).await;
    let tokens: Vec<String> = (0..50).map(|n| jwt_named(&key, &format!("made up {n}"))).collect();
    join_all(tokens.iter().map(|token| fixture.cannot_tell(token))).await;
    assert_eq!(server.hits(), 1, "the first fetch counts as an attempt too");
    for hits in 2..=4 {
        pass(MIN_INTERVAL).await;
        // Twice: one fetch answers all who came before it, and nobody who comes after it.
        join_all(tokens.iter().map(|token| fixture.refused(token, MADE_UP))).await;
        join_all(tokens.iter().map(|token| fixture.cannot_tell(token))).await;
        assert_eq!(server.hits(), hits);
    }
}

#[tokio::test]
async fn all_wait_for_the_one_fetch() {
    let key = SigningKey::ed25519();
    let set = set_of(&[key.jwk(KEY_ID)]);
    let server = IssuerServer::start(Answer::Held(set)).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let (good, bad) = (jwt(&key, &claims()), jwt_named(&key, "made up"));
    let accepted = join_all((0..25).map(|_| fixture.accepted(&good)));
    let refused = join_all((0..25).map(|_| fixture.refused(&bad, MADE_UP)));
    let release = async {
        server.arrived().await;
        server.release();
    };
    tokio::join!(accepted, refused, release);
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn jwts_that_say_nothing_of_the_issuer_cause_no_fetch() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Status(500)).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    fixture.refused("gk_b_4fZk91Qd0123456789ABCDEFGHIJKLMNOPQRST000000", "not a JWT").await;
    let foreign = with(claims(), "iss", json!("https://other.example/"));
    fixture.refused(&jwt(&key, &foreign), "not one that this server trusts").await;
    fixture.refused(&jwt_by(&key, &header("none"), &claims()), "unknown algorithm").await;
    fixture.refused(&jwt_by(&key, &header("HS256"), &claims()), "not an asymmetric one").await;
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn keys_are_read_again_when_they_are_old() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    for hits in 1..=3 {
        fixture.accepted(&jwt(&key, &claims())).await;
        assert_eq!(server.hits(), hits);
        pass(MAX_AGE.saturating_sub(MIN_INTERVAL)).await;
        fixture.accepted(&jwt(&key, &claims())).await;
        assert_eq!(server.hits(), hits);
        pass(MIN_INTERVAL).await;
    }
}

/// A caller that hangs up while the keys are fetched must neither end the fetch for the others, nor leave
/// behind that there are no such keys: anyone could keep a new key out of use that way.
#[tokio::test]
async fn a_caller_that_hangs_up_ends_no_fetch() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Held(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let (good, bad) = (jwt(&key, &claims()), jwt_named(&key, "made up"));
    tokio::select! {
        () = fixture.refused(&bad, MADE_UP) => panic!("the issuer has not answered yet"),
        () = server.arrived() => {}
    }
    server.release();
    fixture.accepted(&good).await;
    assert_eq!(server.hits(), 1);
}
