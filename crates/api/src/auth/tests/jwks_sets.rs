//! Which keys of a set are used, and which sources are.

use std::path::PathBuf;
use std::sync::Arc;

use gatekey_core::SystemClock;
use serde_json::{Value, json};

use super::fixture::{Fixture, ISSUER, KEY_ID, claims, inline, jwt, jwt_named, pass, set_of, settings, with};
use super::signing_key::{SigningKey, base64url};
use crate::auth::jwks::MIN_INTERVAL;
use crate::auth::{Authenticator, IssuerSettings, JwksSource};

/// A file of its own, removed at the end.
pub(super) struct SetFile(PathBuf);

impl SetFile {
    pub(super) fn with(text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("gatekey-jwks-{}.json", uuid::Uuid::new_v4())));
        file.write(text);
        file
    }

    pub(super) fn write(&self, text: &str) {
        std::fs::write(&self.0, text).expect("the temporary folder is writable");
    }

    pub(super) fn source(&self) -> JwksSource {
        JwksSource::File(self.0.clone())
    }
}

impl Drop for SetFile {
    fn drop(&mut self) {
        // It may be gone already, and then nothing is left to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn set_up_fails(issuers: Vec<IssuerSettings>, text: &str) {
    let error = Authenticator::new(issuers, Arc::new(SystemClock)).await.err().expect("can't be set up");
    let error = error.to_string();
    assert!(error.contains(ISSUER) && error.contains(text), "`{error}` has no `{text}`");
}

/// Keys that can't check a signature, each in the place of the key that the test's JWTs name.
fn unusable() -> Vec<Value> {
    let (ed25519, p256, rsa) = (SigningKey::ed25519(), SigningKey::p256(), SigningKey::rsa());
    vec![
        json!({"kty": "oct", "kid": KEY_ID, "alg": "HS256", "k": base64url("secret")}),
        json!({"kty": "oct", "kid": KEY_ID, "k": base64url("secret")}),
        json!({"kty": "AKP", "kid": KEY_ID, "alg": "ML-DSA-44", "pub": "AAAA"}),
        json!({"kty": "OKP", "kid": KEY_ID, "crv": "X25519", "x": base64url([1; 32])}),
        json!({"kty": "EC", "kid": KEY_ID, "crv": "P-521", "x": base64url([1; 66]), "y": base64url([1; 66])}),
        json!({"kty": "EC", "kid": KEY_ID, "crv": "secp256k1", "x": base64url([1; 32]), "y": base64url([1; 32])}),
        json!({"kty": "RSA", "kid": KEY_ID}),
        json!({"kid": KEY_ID}),
        with(rsa.jwk(KEY_ID), "use", json!("enc")),
        with(rsa.jwk(KEY_ID), "use", json!("tls")),
        with(rsa.jwk(KEY_ID), "alg", json!("RSA-OAEP-256")),
        with(rsa.jwk(KEY_ID), "key_ops", json!(["encrypt", "wrapKey"])),
        with(rsa.jwk(KEY_ID), "key_ops", json!([])),
        with(rsa.jwk(KEY_ID), "n", json!("not base64url!")),
        with(p256.jwk(KEY_ID), "alg", json!("ES384")),
        with(ed25519.jwk(KEY_ID), "alg", json!("HS256")),
        with(ed25519.jwk(KEY_ID), "kid", json!(1)),
        json!("key"),
        json!(null),
        json!([]),
    ]
}

#[tokio::test]
async fn unusable_keys_are_passed_over() {
    let key = SigningKey::ed25519();
    let mut keys = unusable();
    keys.push(key.jwk(KEY_ID));
    let fixture = Fixture::with_keys(&keys).await;
    fixture.accepted(&jwt(&key, &claims())).await;
    // The only usable one needs no id.
    fixture
        .accepted(&super::fixture::jwt_by(
            &key,
            &with(super::fixture::header("EdDSA"), "kid", None),
            &claims(),
        ))
        .await;
}

#[tokio::test]
async fn a_set_of_unusable_keys_is_refused() {
    for key in unusable() {
        set_up_fails(vec![settings(inline(&[key]))], "no key for an asymmetric signature").await;
    }
    set_up_fails(vec![settings(inline(&[]))], "no key for an asymmetric signature").await;
}

#[tokio::test]
async fn keys_for_signatures_are_used() {
    let key = SigningKey::p256();
    for (member, value) in [
        ("use", json!("sig")),
        ("key_ops", json!(["verify"])),
        ("key_ops", json!(["sign", "verify"])),
        ("x5t", json!("AAAA")),
        ("ext", json!(true)),
    ] {
        let fixture = Fixture::with_keys(&[with(key.jwk(KEY_ID), member, value)]).await;
        fixture.accepted(&jwt(&key, &claims())).await;
    }
}

#[tokio::test]
async fn a_file_must_hold_a_set() {
    let missing = std::env::temp_dir().join(format!("gatekey-jwks-{}.json", uuid::Uuid::new_v4()));
    set_up_fails(vec![settings(JwksSource::File(missing.clone()))], &missing.display().to_string()).await;
    set_up_fails(vec![settings(JwksSource::File(std::env::temp_dir()))], "").await;
    for text in ["", "keys", "{", "[]", "{}", r#"{"keys":{}}"#, "-----BEGIN PUBLIC KEY-----"] {
        set_up_fails(vec![settings(SetFile::with(text).source())], "not a JWK set").await;
    }
}

#[tokio::test]
async fn a_file_is_read_again_at_an_unknown_key() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let file = SetFile::with(&set_of(&[old.jwk("old")]).to_string());
    let fixture = Fixture::of(vec![settings(file.source())]).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
    file.write(&set_of(&[new.jwk("new")]).to_string());
    fixture.accepted(&jwt_named(&new, "new")).await;
    fixture.cannot_tell(&jwt_named(&old, "old")).await;
    pass(MIN_INTERVAL).await;
    fixture.refused(&jwt_named(&old, "old"), "(kid) is not one of the issuer's").await;
}

#[tokio::test]
async fn a_broken_file_takes_back_no_keys() {
    let (old, new) = (SigningKey::ed25519(), SigningKey::ed25519());
    let file = SetFile::with(&set_of(&[old.jwk("old")]).to_string());
    let fixture = Fixture::of(vec![settings(file.source())]).await;
    file.write("{\"keys\":[");
    fixture.cannot_tell(&jwt_named(&new, "new")).await;
    fixture.accepted(&jwt_named(&old, "old")).await;
}

#[tokio::test]
async fn keys_come_over_no_network_unprotected() {
    for url in [
        "http://id.example/jwks",
        "http://10.0.0.1/jwks",
        "http://localhost.example/jwks",
        "ftp://localhost/jwks",
        "file:///etc/jwks.json",
        "data:application/json,{}",
    ] {
        let source = JwksSource::Url(url.parse().expect(url));
        set_up_fails(vec![settings(source)], "https").await;
    }
    for url in
        ["https://id.example/jwks", "http://localhost:1/jwks", "http://[::1]/jwks", "http://127.0.0.1/"]
    {
        let source = JwksSource::Url(url.parse().expect(url));
        Fixture::of(vec![settings(source)]).await;
    }
}

#[tokio::test]
async fn an_issuer_is_configured_once() {
    let key = SigningKey::ed25519();
    let once = settings(inline(&[key.jwk(KEY_ID)]));
    let again = IssuerSettings { audience: "other".to_owned(), ..once.clone() };
    set_up_fails(vec![once, again], "configured twice").await;
}
