//! A token as the service knows it, and what can be said of one that is presented.

use crate::{TenantId, Timestamp, TokenId, TokenKey, TokenName, TokenType};

/// A token, without its value. It never changes after its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Identifies it within the service.
    pub id: TokenId,
    /// What its creator called it.
    pub name: TokenName,
    /// The public part of its value.
    pub key: TokenKey,
    /// What it may be used for. This decides, not the letter in the value.
    pub kind: TokenType,
    /// Whose it is.
    pub tenant: TenantId,
    /// The subject of the caller who created it.
    pub creator: String,
    /// When it was created.
    pub created: Timestamp,
    /// From when on it is not accepted any more.
    pub expires: Timestamp,
}

/// Whether a token is good. The first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Not in the form of a token.
    Malformed,
    /// No such token was ever created.
    Unknown,
    /// It was deleted.
    Revoked,
    /// Its time is over.
    Expired,
    /// Good, but not of the required type.
    WrongType,
    /// Good.
    Active,
}

impl Verdict {
    /// The verdict on a token that exists and was not deleted.
    #[must_use]
    pub fn on(token: &Token, required: Option<TokenType>, now: Timestamp) -> Self {
        Self::on_live(now >= token.expires, token.kind, required)
    }

    /// The verdict on a token that was not deleted, from what of it matters.
    #[inline]
    #[must_use]
    pub fn on_live(expired: bool, kind: TokenType, required: Option<TokenType>) -> Self {
        if expired {
            Self::Expired
        } else if required.is_some_and(|required| required != kind) {
            Self::WrongType
        } else {
            Self::Active
        }
    }

    /// The verdict's name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::WrongType => "wrong_type",
            Self::Active => "active",
        }
    }
}
