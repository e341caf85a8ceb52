//! An issuer that Gatekey trusts: whose JWTs it takes, and what it reads from them.

use std::sync::Arc;

use gatekey_core::{Caller, Role};
use gatekey_model::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde_json::Value;

use super::claims::Claims;
use super::jwks::Keys;
use super::jwks_source::{JwksAccess, JwksSource};
use super::verifying_key::VerifyingKey;
use super::{AuthError, claims};

/// The algorithms that are taken: asymmetric ones only, so that nobody who can check can also sign.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What an operator says of an issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The exact `iss` of its JWTs.
    pub issuer: String,
    /// The `aud` that they must have.
    pub audience: String,
    /// Where its keys are.
    pub jwks: JwksSource,
    /// How they are fetched, if they are behind a URL.
    pub jwks_access: JwksAccess,
    /// Where in the claims the roles are: a JSON pointer (RFC 6901).
    pub roles_pointer: String,
    /// Where in the claims the tenant is: a JSON pointer.
    pub tenant_pointer: String,
    /// The subjects (`sub`) that are verifiers.
    pub verifier_subjects: Vec<String>,
    /// Whether a role claim may grant `verifier`. In development mode only.
    pub verifier_by_claim: bool,
}

/// Why an issuer can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("the issuer {issuer} can't be set up: {cause}")]
pub struct IssuerError {
    pub(super) issuer: String,
    pub(super) cause: String,
}

pub(super) struct Issuer {
    settings: IssuerSettings,
    keys: Arc<Keys>,
}

impl Issuer {
    pub(super) async fn open(settings: IssuerSettings) -> Result<Self, IssuerError> {
        let keys = Keys::open(settings.jwks.clone(), settings.jwks_access.clone())
            .await
            .map_err(|cause| IssuerError { issuer: settings.issuer.clone(), cause })?;
        Ok(Self { settings, keys: Arc::new(keys) })
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.settings.issuer == name
    }

    /// Changes whenever the issuer's keys do; nothing while nobody knows whether they did.
    pub(super) fn generation(&self) -> Option<u64> {
        self.keys.generation()
    }

    /// The caller that the token proves at this moment.
    pub(super) async fn caller(&self, token: &str, now: Timestamp) -> Result<Caller, AuthError> {
        let header = decode_header(token).map_err(|_| {
            AuthError::Refused("the JWT's header can't be read, or names an unknown algorithm")
        })?;
        if header.crit.is_some() {
            return Err(AuthError::Refused("the JWT has critical extensions, and this server knows none"));
        }
        if !ALGORITHMS.contains(&header.alg) {
            return Err(AuthError::Refused("the JWT's algorithm is not an asymmetric one"));
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await?;
        let claims = self.verified_claims(token, &header, &key)?;
        claims::check_not_before(&claims, now)?;
        self.caller_from(&claims, claims::expiry(&claims, now)?)
    }

    fn verified_claims(&self, token: &str, header: &Header, key: &VerifyingKey) -> Result<Value, AuthError> {
        if !key.algorithms.contains(&header.alg) {
            return Err(AuthError::Refused("the JWT's algorithm is not the one of its key"));
        }
        let mut validation = Validation::new(header.alg);
        // Times are checked apart, by the server's own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        match decode::<Claims>(token, &key.key, &validation) {
            Ok(data) => Ok(data.claims.0),
            Err(error) => Err(AuthError::Refused(explain(error.kind()))),
        }
    }

    fn caller_from(&self, claims: &Value, expires: Timestamp) -> Result<Caller, AuthError> {
        let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| {
            !subject.is_empty() && subject.chars().count() <= 255 && !subject.chars().any(char::is_control)
        });
        let subject = subject
            .ok_or(AuthError::Refused("the JWT's subject (sub) is not a text of 1 to 255 characters"))?
            .to_owned();
        let named = self.settings.verifier_subjects.contains(&subject);
        let claimed = claims::roles(claims, &self.settings.roles_pointer);
        let roles = match (named, self.settings.verifier_by_claim) {
            (true, _) => claimed.with(Role::Verifier),
            (false, true) => claimed,
            (false, false) => claimed.without(Role::Verifier),
        };
        let tenant = claims::tenant(claims, &self.settings.tenant_pointer);
        Ok(Caller { issuer: self.settings.issuer.clone(), subject, tenant, roles, expires })
    }
}

fn explain(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidAudience => "the JWT is not for this audience (aud)",
        ErrorKind::InvalidIssuer => "the JWT's issuer (iss) is not the expected one",
        ErrorKind::InvalidSignature => "the JWT's signature does not fit",
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "aud" => "the JWT has no audience (aud) that is a text or a list of texts",
            "sub" => "the JWT has no subject (sub) that is a text",
            _ => "the JWT lacks a required claim",
        },
        ErrorKind::Json(_) => {
            "the JWT's claims can't be read, or one is of the wrong type or stands there twice"
        }
        ErrorKind::Base64(_) => "the JWT is not in base64url",
        _ => "the JWT can't be verified",
    }
}
