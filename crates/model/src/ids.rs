//! Who and which: tokens, tenants, requests.

use std::fmt;

use uuid::Uuid;

use crate::{Rule, Violations};

/// Identifies a token within the service: positive, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(i64);

impl TokenId {
    /// Checks an id.
    ///
    /// # Errors
    /// A violation of the field `id` unless it is positive.
    pub fn parse(id: i64) -> Result<Self, Violations> {
        if id > 0 { Ok(Self(id)) } else { Err(Violations::of("id", Rule::TokenIdInvalid)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The organisation that a token belongs to, as the caller's issuer calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(String);

/// A text that can't name a tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant has 1 to 255 characters, none of them a control character")]
pub struct InvalidTenant;

impl TenantId {
    /// Checks a tenant's name. It is compared letter for letter: nothing is trimmed or folded.
    ///
    /// # Errors
    /// If it is empty, longer than 255 characters or has a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidTenant> {
        let valid = !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidTenant) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one intention to create a token, so that a repeat of the call is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Parses a UUID in any of its usual forms (RFC 9562).
    ///
    /// # Errors
    /// A violation of the field `request_id`.
    pub fn parse(text: &str) -> Result<Self, Violations> {
        let uuid = Uuid::try_parse(text).map_err(|_| Violations::of("request_id", Rule::RequestIdInvalid))?;
        Ok(Self(uuid))
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_id_is_positive() {
        assert_eq!(TokenId::parse(1).map(TokenId::get), Ok(1));
        for bad in [0, -1, i64::MIN] {
            assert_eq!(TokenId::parse(bad), Err(Violations::of("id", Rule::TokenIdInvalid)));
        }
    }

    #[test]
    fn a_tenant_is_taken_letter_for_letter() {
        assert_eq!(TenantId::parse(" Acme ").expect("valid").as_str(), " Acme ");
        assert_eq!(TenantId::parse(""), Err(InvalidTenant));
        assert_eq!(TenantId::parse("a\0b"), Err(InvalidTenant));
        assert_eq!(TenantId::parse(&"x".repeat(256)), Err(InvalidTenant));
    }

    #[test]
    fn a_request_id_is_a_uuid() {
        let id = RequestId::parse("67e55044-10b1-426f-9247-bb680e5fe0c8").expect("valid");
        assert_eq!(RequestId::parse("67E5504410B1426F9247BB680E5FE0C8"), Ok(id));
        assert!(RequestId::parse("not-a-uuid").is_err());
    }
}
