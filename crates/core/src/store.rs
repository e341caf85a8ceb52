//! The ports to a store. Each method states an intention and is atomic: one transaction, or one
//! statement where it only reads. No transaction leaks out.

use std::time::Duration;

use async_trait::async_trait;
use gatekey_lease::{Entry, Epoch, Head, Nonce, Position, ReplicaId, Row, Seq};
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

    /// What the store knows of a digest, read in one statement together with the head of the log, its
    /// epoch, and whether the log contains the entry `holder`.
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

    /// Removes the oldest entries that were written before a moment, none of those after a younger one.
    async fn trim_log(&self, trim: Trim) -> Result<Trimmed, StoreError>;
}

/// Remembers the replicas that hold leases, and up to where each confirms the log.
#[async_trait]
pub trait LeaseStore: Send + Sync + 'static {
    /// Opens a connection of its own for one replica's renewals, so that no storm of other calls costs a lease.
    async fn open_line(&self) -> Result<Box<dyn ReplicaLine>, StoreError>;

    /// Opens a connection of its own that hears of revocations and confirmations. What it misses, a poll finds.
    async fn open_bell(&self) -> Result<Box<dyn Bell>, StoreError>;

    /// All rows, and which of these positions the log contains, or contained before it was trimmed, as tombstones tell:
    /// one statement, one moment. Each row says whether that log contains what it confirms; of what was trimmed it need
    /// not know.
    async fn replica_rows(&self, positions: &[Position]) -> Result<ReplicaRows, StoreError>;

    /// Gives up the connections of all calls, those of lines and bells apart, and takes new ones: the old ones may
    /// lead to a server that is the primary no longer. What is under way on them may still answer.
    async fn renew_connections(&self);
}

/// One replica's line to the store: its statements run on it one after the other. After an error, or when a call
/// is given up half-way, the line is broken, and is to be dropped.
#[async_trait]
pub trait ReplicaLine: Send {
    /// Commits the replica's row with this count and lease, inserting it if it is missing, and raises the longest
    /// lease that the head knows of to this one in the same transaction. Durable, and replicated where deletes are.
    /// Whether the row was missing.
    async fn commit_row(&mut self, id: ReplicaId, n: u64, lease: Duration) -> Result<bool, StoreError>;

    /// The head, in a statement of its own.
    async fn head(&mut self) -> Result<Head, StoreError>;

    /// The entries from this number on, itself included, oldest first.
    async fn entries_from(&mut self, from: Seq, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Confirms a position in the replica's row, if the log contains that very entry, and rings the bells. The
    /// commit need not be durable: a confirmation that is lost is only waited for in vain.
    async fn confirm(&mut self, id: ReplicaId, confirmation: Confirmation) -> Result<(), StoreError>;

    /// All rows.
    async fn rows(&mut self) -> Result<Vec<Row>, StoreError>;

    /// Removes a row, if it still has this count.
    async fn remove_row(&mut self, id: ReplicaId, n: u64) -> Result<(), StoreError>;
}

/// Hears of what other processes have committed.
#[async_trait]
pub trait Bell: Send {
    /// Waits for the next ring. May be given up at any time. After an error the bell is broken, and is to be dropped.
    async fn ring(&mut self) -> Result<Ring, StoreError>;
}

/// What is to be trimmed of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What was written before this moment.
    pub before: Timestamp,
    /// None of this many newest entries, which are one or more.
    pub keep: u32,
    /// No more than this.
    pub limit: u32,
    /// There is nothing before this number: the next one after what was trimmed just now.
    pub from: Seq,
}

/// What was trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// How many entries.
    pub count: u64,
    /// The newest of them.
    pub last: Option<Seq>,
}

/// What a bell rings for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// There are new entries in the log.
    Revocation,
    /// A replica has confirmed more than before, or its row is gone.
    Confirmation,
}

/// What a replica confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Up to where.
    pub position: Position,
    /// How many holders confirmed what is new in this.
    pub confirmed: u32,
    /// How many holders' leases were waited out for it.
    pub waited_out: u32,
}

/// The rows of all replicas at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaRows {
    /// All of them.
    pub rows: Vec<Row>,
    /// Which of the positions that were asked about the log contains, or contained before it was trimmed.
    pub contained: Vec<Position>,
}

/// A whole store.
pub trait Store: TokenStore + RevocationLog + LeaseStore {}

impl<S: TokenStore + RevocationLog + LeaseStore> Store for S {}

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
    /// The longest lease that was ever given, as the same transaction read it.
    pub max_lease: Duration,
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
    /// The epoch of whoever answered, as in [`Head::epoch`].
    pub epoch: Epoch,
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
