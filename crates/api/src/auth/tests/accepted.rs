//! JWTs that prove their caller.

use gatekey_core::{Role, Roles};
use gatekey_model::TenantId;
use serde_json::{Value, json};

use super::fixture::{Fixture, ISSUER, KEY_ID, NOW, claims, header, jwt, jwt_by, jwt_named, with};
use super::signing_key::SigningKey;

#[tokio::test]
async fn a_jwt_proves_its_caller() {
    let key = SigningKey::ed25519();
    let caller = Fixture::with_key(&key).await.accepted(&jwt(&key, &claims())).await;
    assert_eq!((caller.issuer.as_str(), caller.subject.as_str()), (ISSUER, "ada"));
    assert_eq!(caller.tenant.as_ref().map(TenantId::as_str), Some("acme"));
    assert_eq!(caller.roles, Roles::default().with(Role::Developer));
    assert_eq!(caller.expires.unix_seconds(), NOW + 600);
}

#[tokio::test]
async fn every_kind_of_key_is_taken() {
    for key in [SigningKey::ed25519(), SigningKey::p256(), SigningKey::p384(), SigningKey::rsa()] {
        let token = jwt(&key, &claims());
        Fixture::with_key(&key).await.accepted(&token).await;
        let named = with(key.jwk(KEY_ID), "alg", json!(key.algorithm()));
        Fixture::with_keys(&[named]).await.accepted(&token).await;
    }
}

#[tokio::test]
async fn an_rsa_key_takes_its_paddings_unless_it_names_one() {
    let key = SigningKey::rsa();
    let fixture = Fixture::with_key(&key).await;
    for algorithm in ["RS256", "RS384", "PS256"] {
        fixture.accepted(&jwt_by(&key, &header(algorithm), &claims())).await;
    }
    let fixture = Fixture::with_keys(&[with(key.jwk(KEY_ID), "alg", json!("PS256"))]).await;
    fixture.accepted(&jwt_by(&key, &header("PS256"), &claims())).await;
}

#[tokio::test]
async fn the_audience_is_a_text_or_a_list() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for audience in [json!("gatekey"), json!(["gatekey"]), json!(["other", "gatekey"])] {
        fixture.accepted(&jwt(&key, &with(claims(), "aud", audience))).await;
    }
}

#[tokio::test]
async fn the_key_id_chooses_among_several_keys() {
    let keys = [SigningKey::ed25519(), SigningKey::p256(), SigningKey::ed25519()];
    let jwks: Vec<Value> = keys.iter().zip(["k0", "k1", "k2"]).map(|(key, id)| key.jwk(id)).collect();
    let fixture = Fixture::with_keys(&jwks).await;
    for (key, id) in keys.iter().zip(["k0", "k1", "k2"]) {
        fixture.accepted(&jwt_named(key, id)).await;
    }
}

#[tokio::test]
async fn keys_of_one_id_are_told_apart_by_their_algorithm() {
    let keys = [SigningKey::rsa(), SigningKey::p256()];
    let fixture = Fixture::with_keys(&[keys[0].jwk(KEY_ID), keys[1].jwk(KEY_ID)]).await;
    for key in &keys {
        fixture.accepted(&jwt(key, &claims())).await;
    }
}

#[tokio::test]
async fn the_only_key_needs_no_id() {
    let key = SigningKey::p256();
    let unnamed = with(header("ES256"), "kid", None);
    let token = jwt_by(&key, &unnamed, &claims());
    Fixture::with_key(&key).await.accepted(&token).await;
    Fixture::with_keys(&[with(key.jwk(""), "kid", None)]).await.accepted(&token).await;
}

#[tokio::test]
async fn clocks_may_differ_by_the_leeway() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    fixture.accepted(&jwt(&key, &with(claims(), "exp", json!(NOW - 29)))).await;
    fixture.accepted(&jwt(&key, &with(claims(), "nbf", json!(NOW + 30)))).await;
    fixture.accepted(&jwt(&key, &with(claims(), "nbf", json!(0)))).await;
}

#[tokio::test]
async fn a_fraction_of_a_second_in_a_time_is_dropped() {
    let key = SigningKey::ed25519();
    let token = jwt(&key, &with(claims(), "exp", json!(600.75 + 1_800_000_000.0)));
    let caller = Fixture::with_key(&key).await.accepted(&token).await;
    assert_eq!(caller.expires.unix_micros(), (NOW + 600) * 1_000_000);
}

#[tokio::test]
async fn a_subject_has_255_characters_at_the_most() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for subject in ["é".repeat(255), "system:serviceaccount:edge:gateway".to_owned(), "אדה".to_owned()] {
        let caller = fixture.accepted(&jwt(&key, &with(claims(), "sub", json!(subject)))).await;
        assert_eq!(caller.subject, subject);
    }
}

#[tokio::test]
async fn headers_that_say_nothing_of_the_key_do_not_matter() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for (member, value) in [("typ", None), ("typ", Some(json!("at+jwt"))), ("x", Some(json!({"y": [1]})))] {
        fixture.accepted(&jwt_by(&key, &with(header("EdDSA"), member, value), &claims())).await;
    }
}
