//! Who calls: from the `authorization` header of a call, or else the certificate of its connection, to a [`Caller`].
//!
//! Callers prove themselves with a JWT of a configured issuer or a client certificate, never with an API token.

pub(crate) mod bearer;
mod cache;
mod certificate;
mod claims;
mod examine;
mod issuer;
mod jwks;
mod jwks_source;
pub(crate) mod refusals;
mod verifying_key;

use std::sync::Arc;

use gatekey_core::{Caller, Clock, fail};
use gatekey_model::Timestamp;
use gatekey_proto::v1::ErrorReason;
use http::HeaderMap;
use tracing::Instrument;

use crate::{ApiError, traces};
use cache::CallerCache;
use issuer::Issuer;

pub use examine::KnownKey;
pub use issuer::{IssuerError, IssuerSettings};
pub use jwks_source::{JwksAccess, JwksSource};

/// Finds out who calls.
pub struct Authenticator {
    issuers: Vec<Issuer>,
    cache: CallerCache,
    clock: Arc<dyn Clock>,
}

/// What is wrong with credentials, in words that help their owner and nobody else.
type Refusal = &'static str;

/// Why a bearer token gives no caller.
#[derive(Debug)]
enum AuthError {
    /// The credentials are bad.
    Refused(Refusal),
    /// Nobody can tell: the issuer's keys can't be had, or not as they are now.
    CannotTell,
}

impl Authenticator {
    /// Takes callers of these issuers.
    ///
    /// # Errors
    /// If two issuers have the same name, if a key file can't be read or holds no usable key, if keys would
    /// come unprotected over a network, or if their URL has a user name or password. Keys by URL are fetched when they are first needed: an
    /// issuer that is down must not keep Gatekey from starting.
    pub async fn new(issuers: Vec<IssuerSettings>, clock: Arc<dyn Clock>) -> Result<Self, IssuerError> {
        let mut opened: Vec<Issuer> = Vec::with_capacity(issuers.len());
        for settings in issuers {
            if opened.iter().any(|other| other.is(&settings.issuer)) {
                let cause = "it is configured twice".to_owned();
                return Err(IssuerError { issuer: settings.issuer, cause });
            }
            opened.push(Issuer::open(settings).await?);
        }
        Ok(Self { issuers: opened, cache: CallerCache::default(), clock })
    }

    /// The caller that these headers prove, if that was found out before and still holds.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Arc<Caller>> {
        self.remembered(bearer::token(headers).ok()?)
    }

    fn remembered(&self, token: &str) -> Option<Arc<Caller>> {
        self.cache.get(token, self.clock.now(), |index| self.issuers[index].generation())
    }

    /// The caller that these headers prove.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, ApiError> {
        self.caller_by(bearer::token(headers)?).await
    }

    /// The caller that this JWT proves.
    pub(crate) async fn caller_by(&self, jwt: &str) -> Result<Arc<Caller>, ApiError> {
        self.caller_of(jwt).await.map_err(|error| match error {
            AuthError::Refused(why) => ApiError::new(ErrorReason::CredentialsInvalid).because(why),
            AuthError::CannotTell => ApiError::new(ErrorReason::IssuerUnavailable),
        })
    }

    async fn caller_of(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        if let Some(caller) = self.remembered(token) {
            return Ok(caller);
        }
        let span = traces::authenticating();
        let outcome = self.check(token).instrument(span.clone()).await;
        match &outcome {
            Ok(_) => {}
            Err(AuthError::Refused(_)) => fail(&span, "refused"),
            Err(AuthError::CannotTell) => fail(&span, "cannot_tell"),
        }
        outcome
    }

    async fn check(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        let now = self.clock.now();
        let name = claims::unverified_issuer(token)?;
        let index = self.issuers.iter().position(|issuer| issuer.is(&name)).ok_or(UNKNOWN_ISSUER)?;
        // Read before the keys are: keys that change meanwhile make the cached entry stale at once.
        let generation = self.issuers[index].generation();
        let caller = Arc::new(self.issuers[index].caller(token, now).await?);
        if let Some(generation) = generation {
            self.cache.insert(token, Arc::clone(&caller), index, generation);
        }
        Ok(caller)
    }
}

const UNKNOWN_ISSUER: AuthError = AuthError::Refused("its issuer is not one that this server trusts");

/// Clocks of issuers may differ from ours by this much.
const LEEWAY: std::time::Duration = std::time::Duration::from_secs(30);

/// Whether what held until `expires` does no more.
fn is_over(expires: Timestamp, now: Timestamp) -> bool {
    expires.saturating_add(LEEWAY) <= now
}

#[cfg(test)]
pub(crate) mod tests;
