//! What a service would take instead, without revocation: a typical JWT, decoded and validated by `jsonwebtoken`.

use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use rcgen::{KeyPair, PKCS_ED25519};
use serde::{Deserialize, Serialize};

const ISSUER: &str = "https://issuer.example.com";
const AUDIENCE: &str = "speech";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
}

/// A JWT, and what it is verified with.
pub(crate) struct Jwt {
    token: String,
    key: DecodingKey,
    validation: Validation,
}

impl Jwt {
    /// By a secret that issuer and service share.
    pub(crate) fn hs256() -> Self {
        let secret = [7; 32];
        Self::new(Algorithm::HS256, &EncodingKey::from_secret(&secret), DecodingKey::from_secret(&secret))
    }

    /// By an Ed25519 key pair.
    pub(crate) fn eddsa() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key pair");
        let private = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).expect("a private key");
        let public = DecodingKey::from_ed_pem(pair.public_key_pem().as_bytes()).expect("a public key");
        Self::new(Algorithm::EdDSA, &private, public)
    }

    fn new(algorithm: Algorithm, private: &EncodingKey, key: DecodingKey) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: "0b8f8a3e-6f0c-4c8e-9f57-2f6d3c1f5a11".to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: now + 24 * 60 * 60,
            iat: now,
        };
        let token = encode(&Header::new(algorithm), &claims, private).expect("it is signed");
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        Self { token, key, validation }
    }

    /// Decodes and validates it.
    pub(crate) fn verify(&self) {
        let Self { token, key, validation } = self;
        black_box(decode::<Claims>(black_box(token), key, validation).expect("a good token"));
    }
}
