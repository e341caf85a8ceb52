//! Looks at an issuer's keys for an operator, without taking a caller.

use super::issuer::IssuerSettings;
use super::jwks_source::Source;
use super::verifying_key::parse_set;

/// A key that a JWT of an issuer can be checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id (`kid`).
    pub id: Option<String>,
    /// The algorithms that it is for.
    pub algorithms: Vec<String>,
}

impl IssuerSettings {
    /// Reads the issuer's keys as the server does, once.
    ///
    /// # Errors
    /// In words: if the set can't be had, is none, or has no usable key.
    pub async fn known_keys(&self) -> Result<Vec<KnownKey>, String> {
        let keys = parse_set(&Source::open(self.jwks.clone(), self.jwks_access.clone())?.read().await?)?;
        let known = keys.into_iter().map(|key| KnownKey {
            id: key.id,
            algorithms: key.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect(),
        });
        Ok(known.collect())
    }
}
