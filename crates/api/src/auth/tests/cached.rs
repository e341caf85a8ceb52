//! Callers that are remembered: no longer than their JWT holds and their key is the issuer's.

use serde_json::json;

use super::fixture::{Fixture, KEY_ID, NOW, claims, jwt, jwt_named, pass, set_of, settings, with};
use super::issuer_server::{Answer, IssuerServer};
use super::signing_key::SigningKey;
use crate::auth::jwks::{MAX_AGE, MIN_INTERVAL};

#[tokio::test]
async fn a_caller_is_remembered() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let token = jwt(&key, &claims());
    let first = fixture.accepted(&token).await;
    assert!(std::sync::Arc::ptr_eq(&first, &fixture.accepted(&token).await));
    let other = jwt(&key, &with(claims(), "sub", json!("bob")));
    assert_eq!(fixture.accepted(&other).await.subject, "bob");
    assert_eq!(fixture.accepted(&token).await.subject, "ada");
}

#[tokio::test]
async fn a_remembered_jwt_expires() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let token = jwt(&key, &with(claims(), "exp", json!(NOW + 60)));
    fixture.accepted(&token).await;
    fixture.clock.advance(89);
    fixture.accepted(&token).await;
    fixture.clock.advance(1);
    fixture.refused(&token, "has expired").await;
    fixture.clock.advance(-1);
    fixture.accepted(&token).await;
}

#[tokio::test]
async fn a_remembered_signature_is_not_another_one() {
    let (key, other) = (SigningKey::p256(), SigningKey::p256());
    let fixture = Fixture::with_key(&key).await;
    fixture.accepted(&jwt(&key, &claims())).await;
    fixture.refused(&jwt(&other, &claims()), "signature does not fit").await;
    // ECDSA signs anew each time: another text for the same claims is checked for itself.
    fixture.accepted(&jwt(&key, &claims())).await;
}

#[tokio::test]
async fn a_withdrawn_key_takes_its_callers_along() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk("old"), old.jwk("kept")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    for _ in 0..2 {
        fixture.accepted(&jwt_named(&old, "old")).await;
        fixture.accepted(&jwt_named(&old, "kept")).await;
    }
    server.answer(Answer::Set(set_of(&[old.jwk("kept"), new.jwk("new")])));
    pass(MIN_INTERVAL).await;
    fixture.accepted(&jwt_named(&new, "new")).await;
    fixture.accepted(&jwt_named(&old, "kept")).await;
    fixture.cannot_tell(&jwt_named(&old, "old")).await;
    pass(MIN_INTERVAL).await;
    fixture.refused(&jwt_named(&old, "old"), "(kid) is not one of the issuer's").await;
}

#[tokio::test]
async fn another_key_of_the_same_id_takes_the_callers_along() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    for _ in 0..2 {
        fixture.accepted(&jwt(&old, &claims())).await;
    }
    server.answer(Answer::Set(set_of(&[new.jwk(KEY_ID)])));
    pass(MAX_AGE).await;
    fixture.accepted(&jwt(&new, &claims())).await;
    fixture.refused(&jwt(&old, &claims()), "signature does not fit").await;
}

/// However busy its caller: nobody else needs to come for the keys to be read again.
#[tokio::test]
async fn a_remembered_caller_does_not_outlive_the_age_of_the_keys() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[old.jwk("old")]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let token = jwt_named(&old, "old");
    for _ in 0..2 {
        fixture.accepted(&token).await;
    }
    server.answer(Answer::Set(set_of(&[new.jwk("new")])));
    pass(MAX_AGE.saturating_sub(MIN_INTERVAL)).await;
    fixture.accepted(&token).await;
    pass(MIN_INTERVAL).await;
    fixture.refused(&token, "(kid) is not one of the issuer's").await;
    assert_eq!(server.hits(), 2);
}
