//! A key id that is not in the set: a no only from a set that was read since the caller came.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::fixture::{Fixture, KEY_ID, claims, header, jwt, jwt_by, jwt_named, pass, set_of, settings, with};
use super::issuer_server::{Answer, IssuerServer};
use super::signing_key::SigningKey;
use crate::auth::jwks::{HARD_AGE, MIN_INTERVAL};

const MADE_UP: &str = "(kid) is not one of the issuer's";

/// The issuer may have a key since that nobody looked for: its callers are not told that they are wrong.
#[tokio::test]
async fn a_new_key_inside_the_interval_is_not_refused() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk("old")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
    server.answer(Answer::Set(set_of(&[old.jwk("old"), new.jwk("new")])));
    fixture.cannot_tell(&jwt_named(&new, "new")).await;
    assert_eq!(server.hits(), 1);
    pass(MIN_INTERVAL).await;
    fixture.accepted(&jwt_named(&new, "new")).await;
    fixture.cannot_tell(&jwt_named(&new, "made up")).await;
    assert_eq!(server.hits(), 2);
    pass(MIN_INTERVAL).await;
    fixture.refused(&jwt_named(&new, "made up"), MADE_UP).await;
    assert_eq!(server.hits(), 3);
}

/// The set that is on its way may have been made before the caller's key was.
#[tokio::test]
async fn a_read_that_began_before_the_caller_came_refuses_nobody() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Held(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let (first, late) = (jwt_named(&key, "first"), jwt_named(&key, "late"));
    let come_late = async {
        server.arrived().await;
        let late = fixture.cannot_tell(&late);
        // The late caller waits for the read before it is released.
        tokio::join!(late, async { server.release() });
    };
    tokio::join!(fixture.refused(&first, MADE_UP), come_late);
    fixture.accepted(&jwt(&key, &claims())).await;
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn one_read_refuses_all_who_came_before_it() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let tokens: Vec<String> = (0..50).map(|n| jwt_named(&key, &format!("made up {n}"))).collect();
    join_all(tokens.iter().map(|token| fixture.refused(token, MADE_UP))).await;
    assert_eq!(server.hits(), 1);
}

/// A set of several keys may have become a set of one.
#[tokio::test]
async fn a_jwt_without_a_key_id_is_refused_only_after_a_read_too() {
    let (one, other) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[one.jwk("one"), other.jwk("other")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let unnamed = jwt_by(&one, &with(header("EdDSA"), "kid", None), &claims());
    fixture.refused(&unnamed, "names no key (kid)").await;
    fixture.cannot_tell(&unnamed).await;
    server.answer(Answer::Set(set_of(&[one.jwk("one")])));
    pass(MIN_INTERVAL).await;
    fixture.accepted(&unnamed).await;
}

/// Keys that were given directly stay what they are: there is nothing to read.
#[tokio::test]
async fn of_given_keys_an_unknown_one_is_always_refused() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let known = jwt(&key, &claims());
    let first = fixture.accepted(&known).await;
    for age in [Duration::ZERO, MIN_INTERVAL / 2, MIN_INTERVAL, HARD_AGE] {
        pass(age).await;
        for _ in 0..2 {
            fixture.refused(&jwt_named(&key, "made up"), MADE_UP).await;
            assert!(Arc::ptr_eq(&first, &fixture.accepted(&known).await), "the keys never age");
        }
    }
}
