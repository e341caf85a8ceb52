//! Key pairs that sign JWTs, and what of them is public.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) enum SigningKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("aws-lc makes keys"))
    }

    pub(super) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("aws-lc makes keys"))
    }

    pub(super) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("aws-lc makes keys"))
    }

    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("aws-lc makes keys"))
    }

    /// The algorithm that the key signs with unless another is asked for.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa(_) => "RS256",
        }
    }

    /// Signs as the key can: the algorithm's name only chooses among what an RSA key does.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) | Self::P384(pair) => {
                pair.sign(&SystemRandom::new(), message).expect("aws-lc signs").as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let padding: &dyn RsaEncoding = match algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).expect("aws-lc signs");
                signature
            }
        }
    }

    /// The public half as a JWK without an `alg`.
    pub(super) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": base64url(pair.public_key())})
            }
            Self::P256(pair) => ec_jwk("P-256", id, pair),
            Self::P384(pair) => ec_jwk("P-384", id, pair),
            Self::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": id, "n": base64url(public.n), "e": base64url(public.e)})
            }
        }
    }

    /// Everything public that an attacker may take for a shared secret.
    pub(super) fn public_bytes(&self) -> Vec<Vec<u8>> {
        let (raw, der) = match self {
            Self::Ed25519(pair) => (pair.public_key().as_ref(), pair.public_key().as_der()),
            Self::P256(pair) | Self::P384(pair) => (pair.public_key().as_ref(), pair.public_key().as_der()),
            Self::Rsa(pair) => (pair.public_key().as_ref(), pair.public_key().as_der()),
        };
        let der = der.expect("aws-lc encodes").as_ref().to_vec();
        let body = STANDARD.encode(&der);
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
            .collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
        let jwk = self.jwk("k1");
        let mut all = vec![raw.to_vec(), der, format!("{pem}\n").into_bytes(), pem.into_bytes(), Vec::new()];
        all.push(jwk.to_string().into_bytes());
        for member in ["x", "y", "n"] {
            if let Some(text) = jwk[member].as_str() {
                all.push(text.as_bytes().to_vec());
                all.push(URL_SAFE_NO_PAD.decode(text).expect("made by base64url"));
            }
        }
        all
    }
}

fn ec_jwk(curve: &str, id: &str, pair: &EcdsaKeyPair) -> Value {
    // An uncompressed point: 4, x, y (SEC 1).
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    json!({"kty": "EC", "crv": curve, "kid": id, "x": base64url(x), "y": base64url(y)})
}
