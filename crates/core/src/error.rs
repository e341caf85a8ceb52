//! What can go wrong. How it is said to a caller is the surfaces' affair.

use std::time::Duration;

use gatekey_model::Violations;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or did not answer in time. A write may or may not have happened.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// It has no room left. Nothing was written.
    #[error("the store is full")]
    Full(#[source] Cause),
    /// It answered something that it never should.
    #[error("the store is broken")]
    Broken(#[source] Cause),
}

/// Why a use case was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller has no role that allows it.
    #[error("no role of the caller allows this")]
    RoleRequired,
    /// The caller belongs to no tenant.
    #[error("the caller belongs to no tenant")]
    TenantRequired,
    /// The request breaks rules.
    #[error(transparent)]
    Invalid(#[from] Violations),
    /// The caller's tenant has no such token.
    #[error("no such token")]
    TokenNotFound,
    /// The tenant holds as many live tokens as it may.
    #[error("the tenant already has {limit} live tokens")]
    TokenLimitReached {
        /// As many as this.
        limit: u32,
    },
    /// The request id was used with another payload.
    #[error("the request id was used with another payload")]
    RequestIdReused,
    /// The request id's token was deleted since.
    #[error("the token of this request id was deleted since")]
    RequestIdSpent,
    /// The revocation is committed, but not in force everywhere yet, and the call's deadline is near.
    #[error("the revocation is committed, and in force everywhere in {effective_in:?} at the latest")]
    RevocationPending {
        /// How much longer that can take.
        effective_in: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
}

impl Error {
    /// The reason of a refusal, for the audit log; nothing if this is a failure and not a refusal.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::RoleRequired => Some("role_required"),
            Self::TenantRequired => Some("tenant_required"),
            Self::Invalid(_) => Some("invalid_request"),
            Self::TokenNotFound => Some("token_not_found"),
            Self::TokenLimitReached { .. } => Some("token_limit_reached"),
            Self::RequestIdReused => Some("request_id_reused"),
            Self::RequestIdSpent => Some("request_id_spent"),
            Self::RevocationPending { .. } | Self::Store(_) | Self::Random(_) => None,
        }
    }
}
