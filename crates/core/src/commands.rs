//! What the use cases are asked for, and what they answer.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::Position;
use gatekey_model::{
    RequestId, Token, TokenDigest, TokenId, TokenName, TokenType, TokenValue, Validity, Verdict,
};

use crate::ListCursor;

/// The most tokens on a page.
pub const PAGE_MAX: u32 = 1_000;

/// To create a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateToken {
    /// Its name.
    pub name: TokenName,
    /// Its type.
    pub kind: TokenType,
    /// How long it is valid.
    pub validity: Validity,
    /// The caller's name for this intention.
    pub request_id: Option<RequestId>,
}

/// A created token. Its value exists here and nowhere else.
#[derive(Debug)]
pub struct Created {
    /// The token.
    pub token: Token,
    /// Its value, to be handed to the caller.
    pub value: TokenValue,
}

/// To list a page of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTokens {
    /// How many at the most: 1 to [`PAGE_MAX`].
    pub page_size: u32,
    /// Where the page before ended.
    pub after: Option<ListCursor>,
}

/// A page of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub tokens: Vec<Token>,
    /// Where the next page starts; nothing if this is the last.
    pub next: Option<ListCursor>,
}

/// To delete a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteToken {
    /// Its id.
    pub id: TokenId,
}

/// How a revocation came into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionReceipt {
    /// Where it stands in the log.
    pub revision: Position,
    /// How many holders confirmed it.
    pub holders_confirmed: u32,
    /// How many leases were waited out.
    pub leases_waited_out: u32,
    /// How long the call took.
    pub elapsed: Duration,
}

/// Which token is to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyTarget {
    /// The one of this digest.
    Digest(TokenDigest),
    /// Something that is not in the form of a token.
    Malformed,
}

/// To verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyToken {
    /// Which.
    pub target: VerifyTarget,
    /// The type that it must have; none means any.
    pub required: Option<TokenType>,
    /// Where a holder of a lease stood when it began to ask.
    pub holder: Option<Position>,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whether it is good.
    pub verdict: Verdict,
    /// The token, if there ever was one.
    pub token: Option<Arc<Token>>,
    /// The newest revocation that this answer knows of; none where no store was asked.
    pub revision: Option<Position>,
    /// Whether a holder may cache the answer.
    pub cacheable: bool,
}
