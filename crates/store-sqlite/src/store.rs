//! The store: the ports of `gatekey-core`, each method handed on to where its SQL is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use gatekey_core::{
    Act, AuditEntry, Bell, Insertion, LeaseStore, ListCursor, LogEntry, NewToken, ReplicaLine, ReplicaRows,
    Revocation, RevocationLog, Ring, Snapshot, StoreError, TokenStore, Trim, Trimmed,
};
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest, TokenId};

use crate::bell::Bells;
use crate::bounded::Bounded;
use crate::file_lock::FileLock;
use crate::line::SqliteLine;
use crate::open::open;
use crate::replicas::Replicas;
use crate::schema::{self, SchemaState};
use crate::{OpenError, SqliteOptions, audit, insert, read, replica, revoke, trim};

/// A store in one SQLite file. Clones share it; no other process has it open meanwhile.
#[derive(Clone)]
pub struct SqliteStore {
    path: PathBuf,
    pub(crate) database: Bounded,
    replicas: Replicas,
    pub(crate) bells: Bells,
    before: SchemaState,
    // After `database`: the connections are dropped before the lock is.
    lock: Arc<FileLock>,
}

impl SqliteStore {
    /// Opens the file for this process alone, makes it if there is none, and brings its schema up to
    /// date. Refuses a schema that is newer, unless it says that this program may use it.
    pub async fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let (path, lock, database, before) = open(&options).await?;
        let (replicas, bells) = (Replicas::default(), Bells::default());
        Ok(Self { path, database, replicas, bells, before, lock: Arc::new(lock) })
    }

    /// The file, by its one full name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the schema of this file compares with the one that this program knows, whoever has it open. A file that is
    /// not there is behind. Changes nothing.
    pub async fn schema_of(path: &Path) -> Result<SchemaState, OpenError> {
        schema::state_of(path).await
    }

    /// How the file's schema was before [`Self::open`].
    #[must_use]
    pub fn schema_before(&self) -> SchemaState {
        self.before
    }

    /// How the file's schema compares with the one that this program knows. After [`Self::open`] it is
    /// current, or newer and compatible.
    pub async fn schema(&self) -> Result<SchemaState, OpenError> {
        let told = |source| OpenError::Open { path: self.path.clone(), source };
        let mut connection = self.database.readers.acquire().await.map_err(told)?;
        schema::state(&mut connection).await.map_err(told)
    }

    /// Brings the schema up to date. [`Self::open`] has done so already.
    pub async fn migrate(&self) -> Result<SchemaState, OpenError> {
        schema::migrate(&self.database.writer, &self.path).await
    }

    /// Waits until what is under way has ended, moves everything into the one file, and lets other
    /// processes have it. Whatever is asked later is answered by [`StoreError::Unavailable`].
    pub async fn close(&self) {
        if self.database.close().await {
            self.lock.release();
        } else {
            tracing::warn!(path = %self.path.display(), "the store did not close in time");
        }
    }
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn insert_token(&self, token: NewToken) -> Result<Insertion, StoreError> {
        let bells = self.bells.clone();
        let written = move |insertion: &Insertion| {
            if matches!(insertion, Insertion::Created { replaced: Some(_), .. }) {
                bells.ring(Ring::Revocation);
            }
        };
        self.database.write_then(move |connection| insert::insert(connection, token).boxed(), written).await
    }

    async fn list_tokens(
        &self,
        tenant: &TenantId,
        after: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        let tenant = tenant.clone();
        self.database
            .read(move |connection| read::list_tokens(connection, tenant, after, limit).boxed())
            .await
    }

    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: TokenId,
        nonce: Nonce,
        act: &Act,
    ) -> Result<Option<Revocation>, StoreError> {
        let (tenant, act, bells) = (tenant.clone(), act.clone(), self.bells.clone());
        let written = move |revocation: &Option<Revocation>| {
            if revocation.is_some_and(|revocation| !revocation.repeated) {
                bells.ring(Ring::Revocation);
            }
        };
        self.database
            .write_then(move |connection| revoke::revoke(connection, tenant, id, nonce, act).boxed(), written)
            .await
    }

    async fn find_by_digest(
        &self,
        digest: &TokenDigest,
        holder: Option<Position>,
    ) -> Result<Snapshot, StoreError> {
        let digest = *digest;
        self.database.read(move |connection| read::find_by_digest(connection, digest, holder).boxed()).await
    }

    async fn record_refusal(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let entry = entry.clone();
        self.database.write(move |connection| audit::record(connection, entry).boxed()).await
    }

    /// Reads the head of the log, so that the file itself is asked.
    async fn ping(&self) -> Result<(), StoreError> {
        self.head().await.map(|_| ())
    }
}

#[async_trait]
impl RevocationLog for SqliteStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.database.read(|connection| read::head(connection).boxed()).await
    }

    async fn entries_from(&self, from: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.database.read(move |connection| read::entries_from(connection, from, limit).boxed()).await
    }

    async fn trim_log(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        self.database.write(move |connection| trim::trim(connection, trim).boxed()).await
    }
}

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn open_line(&self) -> Result<Box<dyn ReplicaLine>, StoreError> {
        let (database, replicas, bells) = (self.database.clone(), self.replicas.clone(), self.bells.clone());
        Ok(Box::new(SqliteLine::new(database, replicas, bells)))
    }

    async fn open_bell(&self) -> Result<Box<dyn Bell>, StoreError> {
        Ok(Box::new(self.bells.listen()))
    }

    async fn replica_rows(&self, positions: &[Position]) -> Result<ReplicaRows, StoreError> {
        let (positions, replicas) = (positions.to_vec(), self.replicas.clone());
        self.database.read(move |connection| replica::rows(connection, replicas, positions).boxed()).await
    }

    /// There is one process, and it has the file: no other could have become the primary.
    async fn renew_connections(&self) {}
}
