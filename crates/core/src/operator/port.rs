//! The port to a store for what an operator does: many tokens at once, of whatever tenant. Each method is atomic, as those of
//! the other ports are.

use std::time::Duration;

use async_trait::async_trait;
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{TenantId, Timestamp, Token, TokenDigest, TokenId, TokenKey};

use crate::{Act, Revocation, Store, StoreError};

/// Finds and revokes tokens without a caller, for whoever has the store itself. A store does all else too.
#[async_trait]
pub trait OperatorStore: Store {
    /// The tokens of a selection, deleted ones too, by id and from after this one on.
    async fn select_tokens(
        &self,
        selection: &Selection,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<SelectedToken>, StoreError>;

    /// Writes to the audit log that a run of deletes begins, and why. Says where the log stands, as read by the same
    /// transaction: what was found deleted before is in force once that is.
    async fn begin_run(&self, act: &Act, reason: Option<&str>) -> Result<Revocation, StoreError>;

    /// Deletes tokens as [`TokenStore::revoke_token`](crate::TokenStore::revoke_token) deletes one, all in one transaction, each
    /// under its nonce. Those that were deleted before are told, and written to the audit log as such. The tenant in the
    /// audit log is each token's own. An id that there is not is left out.
    async fn revoke_tokens(
        &self,
        tokens: Vec<(TokenId, Nonce)>,
        act: &Act,
    ) -> Result<Vec<(TokenId, Revocation)>, StoreError>;

    /// The tokens that were revoked after this number, by id and from after this one on.
    async fn revoked_tokens(
        &self,
        revoked_after: Seq,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<RevokedToken>, StoreError>;

    /// Puts this epoch into the place of the head's. Durable, and replicated where deletes are.
    async fn begin_epoch(&self, epoch: u32) -> Result<EpochBegun, StoreError>;
}

/// Which tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those of these digests: a thousand at the most.
    Digests(Vec<TokenDigest>),
    /// Those of these keys. A key is public and need not be unique.
    Keys(Vec<TokenKey>),
    /// One of a tenant.
    Id {
        /// The tenant.
        tenant: TenantId,
        /// The token.
        id: TokenId,
    },
    /// All of a tenant.
    Tenant(TenantId),
    /// All that a subject created.
    Creator {
        /// The subject.
        subject: String,
        /// Of this tenant only.
        tenant: Option<TenantId>,
    },
}

/// A token of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedToken {
    /// The token.
    pub token: Token,
    /// Its digest.
    pub digest: TokenDigest,
    /// Where its revocation stands in the log.
    pub revoked: Option<Position>,
}

/// A token that was revoked, by what it takes to revoke it again elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedToken {
    /// The token.
    pub id: TokenId,
    /// Its digest.
    pub digest: TokenDigest,
    /// The public part of its value.
    pub key: TokenKey,
    /// Where its revocation stands in the log.
    pub position: Position,
    /// When it was revoked, as far as the log still has it.
    pub at: Option<Timestamp>,
}

/// A new epoch that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochBegun {
    /// The epoch before it.
    pub before: i64,
    /// Where the log stands.
    pub head: Position,
    /// The longest lease that was ever given, as this database knows it.
    pub max_lease: Duration,
}
