//! JWTs by somebody else than their issuer.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::fixture::{
    AUDIENCE, Fixture, ISSUER, KEY_ID, claims, header, inline, jws, jwt, jwt_by, set_of, settings, with,
};
use super::issuer_server::{Answer, IssuerServer};
use super::signing_key::{SigningKey, base64url};
use crate::auth::IssuerSettings;

#[tokio::test]
async fn an_algorithm_without_a_signature_is_refused() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = jws(&header(name).to_string(), &claims().to_string(), |_| Vec::new());
        fixture.refused(&unsigned, "unknown algorithm").await;
        fixture.refused(&jwt_by(&key, &header(name), &claims()), "unknown algorithm").await;
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let algorithms =
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for key in [SigningKey::ed25519(), SigningKey::p256(), SigningKey::rsa()] {
        for jwk in [key.jwk(KEY_ID), with(key.jwk(KEY_ID), "alg", json!(key.algorithm()))] {
            let fixture = Fixture::with_keys(&[jwk]).await;
            for secret in key.public_bytes() {
                for (name, algorithm) in algorithms {
                    let token = jws(&header(name).to_string(), &claims().to_string(), |message| {
                        hmac::sign(&hmac::Key::new(algorithm, &secret), message).as_ref().to_vec()
                    });
                    fixture.refused(&token, "not an asymmetric one").await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_symmetric_key_in_the_set_signs_nothing() {
    let key = SigningKey::ed25519();
    let secret = b"a secret that the issuer gave away";
    for id in ["shared", KEY_ID] {
        let shared = json!({"kty": "oct", "kid": id, "alg": "HS256", "k": base64url(secret)});
        let fixture = Fixture::with_keys(&[shared, key.jwk(KEY_ID)]).await;
        let named = with(header("HS256"), "kid", json!(id));
        let token = jws(&named.to_string(), &claims().to_string(), |message| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
        });
        fixture.refused(&token, "not an asymmetric one").await;
        fixture.accepted(&jwt(&key, &claims())).await;
    }
}

#[tokio::test]
async fn a_key_signs_by_its_own_algorithm_only() {
    let rsa = SigningKey::rsa();
    let fixture = Fixture::with_keys(&[with(rsa.jwk(KEY_ID), "alg", json!("RS256"))]).await;
    for other in ["PS256", "RS384"] {
        fixture.refused(&jwt_by(&rsa, &header(other), &claims()), "not the one of its key").await;
    }
    for key in [SigningKey::ed25519(), SigningKey::p256(), SigningKey::p384(), rsa] {
        let fixture = Fixture::with_key(&key).await;
        for other in ["EdDSA", "ES256", "ES384", "RS256"].into_iter().filter(|name| *name != key.algorithm())
        {
            fixture.refused(&jwt_by(&key, &header(other), &claims()), "not the one of its key").await;
        }
    }
}

#[tokio::test]
async fn another_key_signs_nothing() {
    let keys = [SigningKey::ed25519(), SigningKey::p256(), SigningKey::p384(), SigningKey::rsa()];
    let others = [SigningKey::ed25519(), SigningKey::p256(), SigningKey::p384(), SigningKey::rsa()];
    for (key, other) in keys.iter().zip(&others) {
        Fixture::with_key(key).await.refused(&jwt(other, &claims()), "signature does not fit").await;
    }
}

#[tokio::test]
async fn nothing_of_a_jwt_can_be_exchanged() {
    for key in [SigningKey::ed25519(), SigningKey::p256(), SigningKey::p384(), SigningKey::rsa()] {
        let fixture = Fixture::with_key(&key).await;
        let good = jwt(&key, &claims());
        fixture.accepted(&good).await;
        let parts: Vec<&str> = good.split('.').collect();
        let admin = base64url(with(claims(), "roles", json!(["admin", "developer"])).to_string());
        let header = base64url(with(header(key.algorithm()), "typ", None).to_string());
        let zeros = base64url([0; 64]);
        for (forged, text) in [
            (format!("{}.{admin}.{}", parts[0], parts[2]), "signature does not fit"),
            (format!("{header}.{}.{}", parts[1], parts[2]), "signature does not fit"),
            (format!("{}.{}.", parts[0], parts[1]), "signature does not fit"),
            (format!("{}.{}.{zeros}", parts[0], parts[1]), "signature does not fit"),
            (format!("{}.{}.{}", parts[0], parts[1], &parts[2][4..]), "signature does not fit"),
            (format!("{}.{}.{}AAAA", parts[0], parts[1], parts[2]), ""),
        ] {
            fixture.refused(&forged, text).await;
        }
    }
}

#[tokio::test]
async fn keys_that_a_jwt_brings_along_are_not_used() {
    let (trusted, own) = (SigningKey::ed25519(), SigningKey::ed25519());
    let server = IssuerServer::start(Answer::Set(set_of(&[own.jwk(KEY_ID), own.jwk("mine")]))).await;
    let fixture = Fixture::with_key(&trusted).await;
    let certificate = json!([base64url(own.public_bytes().concat())]);
    for (member, value) in [
        ("jwk", own.jwk(KEY_ID)),
        ("jwk", own.jwk("mine")),
        ("jku", json!(server.url().as_str())),
        ("x5u", json!(server.url().as_str())),
        ("x5c", certificate),
    ] {
        let brought = with(header("EdDSA"), member, value);
        fixture.refused(&jwt_by(&own, &brought, &claims()), "signature does not fit").await;
        let named = with(brought.clone(), "kid", json!("mine"));
        fixture.refused(&jwt_by(&own, &named, &claims()), "(kid) is not one of the issuer's").await;
        let unnamed = with(brought, "kid", None);
        fixture.refused(&jwt_by(&own, &unnamed, &claims()), "signature does not fit").await;
    }
    assert_eq!(server.hits(), 0, "nobody asks where a JWT points to");
}

#[tokio::test]
async fn an_issuer_signs_for_itself_only() {
    let (mine, yours) = (SigningKey::ed25519(), SigningKey::ed25519());
    let other = "https://other.example/";
    let second = IssuerSettings { issuer: other.to_owned(), ..settings(inline(&[yours.jwk("k2")])) };
    let fixture = Fixture::of(vec![settings(inline(&[mine.jwk(KEY_ID)])), second]).await;
    let of = |issuer: &str| -> Value { with(claims(), "iss", json!(issuer)) };
    let named = |id: &str| with(header("EdDSA"), "kid", json!(id));
    fixture.accepted(&jwt_by(&mine, &named(KEY_ID), &of(ISSUER))).await;
    fixture.accepted(&jwt_by(&yours, &named("k2"), &of(other))).await;
    fixture.refused(&jwt_by(&mine, &named(KEY_ID), &of(other)), "(kid) is not one of the issuer's").await;
    fixture.refused(&jwt_by(&mine, &named("k2"), &of(other)), "signature does not fit").await;
    let unnamed = with(header("EdDSA"), "kid", None);
    fixture.refused(&jwt_by(&mine, &unnamed, &of(other)), "signature does not fit").await;
}

#[tokio::test]
async fn each_issuer_has_its_own_audience() {
    let key = SigningKey::ed25519();
    let (other, audience) = ("https://other.example/", "gatekey-k8s");
    let second = IssuerSettings {
        issuer: other.to_owned(),
        audience: audience.to_owned(),
        ..settings(inline(&[key.jwk(KEY_ID)]))
    };
    let fixture = Fixture::of(vec![settings(inline(&[key.jwk(KEY_ID)])), second]).await;
    let token = |issuer: &str, audience: &str| {
        jwt(&key, &with(with(claims(), "iss", json!(issuer)), "aud", json!(audience)))
    };
    fixture.accepted(&token(ISSUER, AUDIENCE)).await;
    fixture.accepted(&token(other, audience)).await;
    fixture.refused(&token(ISSUER, audience), "not for this audience").await;
    fixture.refused(&token(other, AUDIENCE), "not for this audience").await;
}
