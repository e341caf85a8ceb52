//! An authenticator with a clock that stands, and the JWTs that are presented to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use gatekey_core::{Caller, Clock};
use gatekey_model::Timestamp;
use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::signing_key::{SigningKey, base64url};
use crate::ApiError;
use crate::auth::{Authenticator, IssuerSettings, JwksAccess, JwksSource};

pub(super) const ISSUER: &str = "https://id.example/";
pub(super) const AUDIENCE: &str = "gatekey";
/// What the clock shows at first, in seconds.
pub(super) const NOW: i64 = 1_800_000_000;
/// The id of the key that [`jwt`] signs with.
pub(super) const KEY_ID: &str = "k1";

pub(super) struct StandingClock(AtomicI64);

impl StandingClock {
    pub(super) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst) * 1_000_000).expect("in range")
    }
}

pub(super) struct Fixture {
    pub(super) authenticator: Authenticator,
    pub(super) clock: Arc<StandingClock>,
}

impl Fixture {
    pub(super) async fn of(issuers: Vec<IssuerSettings>) -> Self {
        let clock = Arc::new(StandingClock(AtomicI64::new(NOW)));
        let authenticator =
            Authenticator::new(issuers, Arc::clone(&clock) as _).await.expect("the issuers can be set up");
        Self { authenticator, clock }
    }

    /// One issuer with these keys.
    pub(super) async fn with_keys(jwks: &[Value]) -> Self {
        Self::of(vec![settings(inline(jwks))]).await
    }

    /// One issuer with the public half of this key under [`KEY_ID`].
    pub(super) async fn with_key(key: &SigningKey) -> Self {
        Self::with_keys(&[key.jwk(KEY_ID)]).await
    }

    pub(super) async fn present(&self, token: &str) -> Result<Arc<Caller>, ApiError> {
        let value = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).expect("fits in a header");
        self.authenticator.caller(&HeaderMap::from_iter([(AUTHORIZATION, value)])).await
    }

    pub(super) async fn accepted(&self, token: &str) -> Arc<Caller> {
        self.present(token)
            .await
            .unwrap_or_else(|error| panic!("{} refused: {}", readable(token), error.message()))
    }

    /// Refused as invalid credentials, with this in the text.
    pub(super) async fn refused(&self, token: &str, text: &str) {
        let error = self.present(token).await.expect_err(&readable(token));
        assert_eq!(error.reason(), ErrorReason::CredentialsInvalid, "{}", readable(token));
        assert!(error.message().contains(text), "{}: `{}` has no `{text}`", readable(token), error.message());
    }

    pub(super) async fn cannot_tell(&self, token: &str) {
        let error = self.present(token).await.expect_err(&readable(token));
        assert_eq!(error.reason(), ErrorReason::IssuerUnavailable, "{}", error.message());
    }
}

pub(super) fn settings(jwks: JwksSource) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks,
        jwks_access: JwksAccess::default(),
        roles_pointer: "/roles".to_owned(),
        tenant_pointer: "/org/tenant".to_owned(),
        verifier_subjects: Vec::new(),
        verifier_by_claim: false,
    }
}

pub(super) fn set_of(jwks: &[Value]) -> Value {
    json!({ "keys": jwks })
}

pub(super) fn inline(jwks: &[Value]) -> JwksSource {
    JwksSource::Inline(set_of(jwks).to_string())
}

/// Claims that are accepted.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 600, "iat": NOW,
        "roles": ["developer"], "org": {"tenant": "acme"},
    })
}

/// A header that names the key [`KEY_ID`].
pub(super) fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "typ": "JWT", "kid": KEY_ID})
}

/// The object with this member set, or without it if the value is [`None`].
pub(super) fn with(mut object: Value, member: &str, value: impl Into<Option<Value>>) -> Value {
    let members = object.as_object_mut().expect("an object");
    match value.into() {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    object
}

/// A JWT by this key under [`KEY_ID`].
pub(super) fn jwt(key: &SigningKey, claims: &Value) -> String {
    jwt_by(key, &header(key.algorithm()), claims)
}

/// A JWT by this key under this id.
pub(super) fn jwt_named(key: &SigningKey, id: &str) -> String {
    jwt_by(key, &with(header(key.algorithm()), "kid", json!(id)), &claims())
}

/// A JWT with this header, signed as its `alg` asks.
pub(super) fn jwt_by(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let algorithm = header["alg"].as_str().unwrap_or_default();
    jws(&header.to_string(), &claims.to_string(), |message| key.sign(algorithm, message))
}

/// Two texts, whatever they are, with a signature.
pub(super) fn jws(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = base64url(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Lets this much time pass for intervals and timeouts, and for nobody who waits for a socket.
pub(super) async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

/// The beginning of a token, for the message of a failed test.
fn readable(token: &str) -> String {
    token.chars().take(120).collect()
}
