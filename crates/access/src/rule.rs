//! What a route asks for.

use gatekey_model::TokenType;

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A batch token.
    Batch,
    /// A realtime token.
    Realtime,
    /// A token of any type.
    Any,
    /// Nothing: health checks, say. The handler sees no `VerifiedToken`, whatever was sent.
    Public,
}

impl Rule {
    /// The type that it requires, if it requires one.
    #[inline]
    #[must_use]
    pub const fn required(self) -> Option<TokenType> {
        match self {
            Self::Batch => Some(TokenType::Batch),
            Self::Realtime => Some(TokenType::Realtime),
            Self::Any | Self::Public => None,
        }
    }

    /// The rule that a gateway's configuration calls so: `batch`, `realtime` or `any`. A gateway does not ask at all about
    /// what is public.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "batch" => Some(Self::Batch),
            "realtime" => Some(Self::Realtime),
            "any" => Some(Self::Any),
            _ => None,
        }
    }
}

impl From<TokenType> for Rule {
    fn from(kind: TokenType) -> Self {
        match kind {
            TokenType::Batch => Self::Batch,
            TokenType::Realtime => Self::Realtime,
        }
    }
}
