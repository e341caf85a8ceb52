//! The ports to a store. Each method states an intention and is atomic: one transaction, or one
//! statement where it only reads. No transaction leaks out.

use async_trait::async_trait;
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{
    RequestId, TenantId, Timestamp, Token, TokenDigest, TokenId, TokenKey, TokenName, TokenType,
};

use crate::{Act, AuditEntry, StoreError};

/// Remembers tokens and the audit log.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Creates a token, unless its tenant has as many as it may, and writes it to the audit log.
    ///
    /// With a request id that was used within its window by the same issuer, subject and tenant, the
    /// token of the call before is deleted in the same transaction, as [`Self::revoke_token`] does;
    /// or the call is refused.
    async fn insert_token(&self, token: NewToken) -> Result<Insertion, StoreError>;

    /// The tokens of a tenant that are not deleted, newest first, from after the cursor on.
    async fn list_tokens(
        &self,
        tenant: &TenantId,
        after: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError>;

    /// Deletes a token: leaves a tombstone, appends to the log of revocations under this nonce, and
    /// writes it to the audit log. If it is deleted already, says where that stands in the log.
    /// Nothing if the tenant has no such token.
    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: TokenId,
        nonce: Nonce,
        act: &Act,
    ) -> Result<Option<Revocation>, StoreError>;

    /// What the store knows of a digest, read in one statement together with the head of the log and
    /// with whether the log contains the entry `holder`.
    async fn find_by_digest(
        &self,
        digest: &TokenDigest,
        holder: Option<Position>,
    ) -> Result<Snapshot, StoreError>;

    /// Writes a refusal to the audit log.
    async fn record_refusal(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Remembers every revocation, in one order.
#[async_trait]
pub trait RevocationLog: Send + Sync + 'static {
    /// The newest entry's position.
    async fn head(&self) -> Result<Position, StoreError>;

    /// The entries from this number on, itself included, oldest first.
    async fn entries_from(&self, from: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError>;
}

/// A whole store.
pub trait Store: TokenStore + RevocationLog {}

impl<S: TokenStore + RevocationLog> Store for S {}

/// A token to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its name.
    pub name: TokenName,
    /// The public part of its value.
    pub key: TokenKey,
    /// Its type.
    pub kind: TokenType,
    /// Whose it is.
    pub tenant: TenantId,
    /// The digest of its value.
    pub digest: TokenDigest,
    /// When it expires.
    pub expires: Timestamp,
    /// Who creates it, and when: its creator and its time of creation.
    pub act: Act,
    /// How many live tokens the tenant may have, this one included.
    pub limit: u32,
    /// The intention behind the call, if the caller named it.
    pub request: Option<CreateRequest>,
}

/// An intention to create a token, named by its caller.
#[derive(Clone, Copy, Debug)]
pub struct CreateRequest {
    /// The caller's name for it.
    pub id: RequestId,
    /// A digest of all that was asked for.
    pub payload: [u8; 32],
    /// Uses of the id before this moment are forgotten.
    pub since: Timestamp,
    /// The nonce under which the token of an earlier call is revoked.
    pub nonce: Nonce,
}

/// What came of creating a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It exists now.
    Created {
        /// The new token.
        token: Token,
        /// The revocation of the token that it replaces, if the call was a repeat.
        replaced: Option<Revocation>,
    },
    /// The tenant has as many live tokens as it may. Nothing was written.
    LimitReached,
    /// The request id was used with another payload. Nothing was written.
    RequestIdReused,
    /// The token of this request id was deleted since. Nothing was written.
    RequestIdSpent,
}

/// A revocation that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Where it stands.
    pub position: Position,
    /// Whether the token had been revoked before this call.
    pub repeated: bool,
}

/// Where a page of tokens ended. Tokens are listed by time of creation and then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// When the page's last token was created.
    pub created: Timestamp,
    /// Its id.
    pub id: TokenId,
}

/// A token and whether it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub token: Token,
    /// The number of its revocation in the log.
    pub revoked: Option<Seq>,
}

/// What a store knew at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The token of the digest, if there ever was one.
    pub found: Option<StoredToken>,
    /// The newest revocation.
    pub head: Position,
    /// Whether the log contains the entry that was asked about; false if none was.
    pub contains_holder: bool,
}

/// An entry in the log of revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number and nonce.
    pub position: Position,
    /// The digest that it revokes; none in the genesis entry.
    pub revokes: Option<TokenDigest>,
}
