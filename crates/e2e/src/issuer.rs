//! An issuer of JWTs that the tests own: its keys, its JWK set, and whatever it should not sign.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// Signs JWTs with a key of its own.
pub struct TestIssuer {
    /// Its name.
    pub name: String,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl TestIssuer {
    /// An issuer with a new key.
    ///
    /// # Panics
    /// If the operating system gives no random numbers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("the key just made");
        let public = pair.public_key().as_ref().to_vec();
        Self { name: name.to_owned(), pkcs8: pkcs8.as_ref().to_vec(), public }
    }

    /// The raw public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Its JWK set.
    #[must_use]
    pub fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(&self.public);
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "1", "alg": "EdDSA", "use": "sig", "x": x });
        json!({ "keys": [key] }).to_string()
    }

    /// Good claims for the audience `gatekey`, to be changed.
    ///
    /// # Panics
    /// If the clock stands before 1970.
    #[must_use]
    pub fn claims(&self, subject: &str, roles: &[&str], tenant: Option<&str>) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut claims = json!({ "iss": self.name, "aud": "gatekey", "sub": subject, "roles": roles,
            "iat": now, "exp": now + 3_600 });
        if let Some(tenant) = tenant {
            claims["tenant"] = tenant.into();
        }
        claims
    }

    /// Signs claims.
    ///
    /// # Panics
    /// Never: the key is good.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as("1", claims)
    }

    /// Signs claims under this key id.
    ///
    /// # Panics
    /// Never: the key is good.
    #[must_use]
    pub fn sign_as(&self, kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).expect("it signs")
    }

    /// A JWT that says this of its algorithm, signed with HMAC under the *public* key, or not at all.
    ///
    /// # Panics
    /// Never: HMAC takes every key.
    #[must_use]
    pub fn forge(&self, algorithm: &str, claims: &Value) -> String {
        if algorithm == "HS256" {
            let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::HS256) };
            return encode(&header, claims, &EncodingKey::from_secret(&self.public)).expect("it signs");
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({ "alg": algorithm, "kid": "1" })), part(claims))
    }
}
