//! A store that is there before it can be reached: who asks is told "unavailable", and lines and bells wait for it. So
//! ports are bound and answered from the first moment. Who opens it, and for how long that is tried, is left to
//! `starting.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use gatekey_core::{
    Act, AuditEntry, Bell, Insertion, LeaseStore, ListCursor, LogEntry, NewToken, ReplicaLine, ReplicaRows,
    Revocation, RevocationLog, Snapshot, Store, StoreError, TokenStore, Trim, Trimmed,
};
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest, TokenId};
use gatekey_store_postgres::Connections;
use tokio::sync::SetOnce;

use super::OpenStore;

/// The place of a store that is opened later. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LateStore(Arc<SetOnce<Opened>>);

struct Opened {
    store: OpenStore,
    shared: Arc<dyn Store>,
}

impl LateStore {
    /// Lets everybody have the store. Once: a second one would be forgotten.
    pub(crate) fn open(&self, store: OpenStore) {
        let shared = store.shared();
        // Nobody else opens it.
        self.0.set(Opened { store, shared }).ok();
    }

    /// What was opened, once it is.
    pub(crate) async fn opened(&self) -> OpenStore {
        self.0.wait().await.store.clone()
    }

    /// As those see it who need no more.
    pub(crate) fn shared(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    /// The connections by their pool, where there are some.
    pub(crate) fn connections(&self) -> Option<[Connections; 2]> {
        self.0.get()?.store.connections()
    }

    /// Closes what was opened.
    pub(crate) async fn close(&self) {
        if let Some(opened) = self.0.get() {
            opened.store.clone().close().await;
        }
    }

    fn now(&self) -> Result<&Arc<dyn Store>, StoreError> {
        let opened = self.0.get().map(|opened| &opened.shared);
        opened.ok_or_else(|| StoreError::Unavailable("the store was not reached yet".into()))
    }
}

#[async_trait]
impl TokenStore for LateStore {
    async fn insert_token(&self, token: NewToken) -> Result<Insertion, StoreError> {
        self.now()?.insert_token(token).await
    }

    async fn list_tokens(
        &self,
        tenant: &TenantId,
        after: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        self.now()?.list_tokens(tenant, after, limit).await
    }

    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: TokenId,
        nonce: Nonce,
        act: &Act,
    ) -> Result<Option<Revocation>, StoreError> {
        self.now()?.revoke_token(tenant, id, nonce, act).await
    }

    async fn find_by_digest(
        &self,
        digest: &TokenDigest,
        holder: Option<Position>,
    ) -> Result<Snapshot, StoreError> {
        self.now()?.find_by_digest(digest, holder).await
    }

    async fn record_refusal(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.now()?.record_refusal(entry).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.now()?.ping().await
    }
}

#[async_trait]
impl RevocationLog for LateStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.now()?.head().await
    }

    async fn entries_from(&self, from: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.now()?.entries_from(from, limit).await
    }

    async fn trim_log(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        self.now()?.trim_log(trim).await
    }
}

#[async_trait]
impl LeaseStore for LateStore {
    async fn open_line(&self) -> Result<Box<dyn ReplicaLine>, StoreError> {
        self.0.wait().await.shared.open_line().await
    }

    async fn open_bell(&self) -> Result<Box<dyn Bell>, StoreError> {
        self.0.wait().await.shared.open_bell().await
    }

    async fn replica_rows(&self, positions: &[Position]) -> Result<ReplicaRows, StoreError> {
        self.now()?.replica_rows(positions).await
    }

    async fn renew_connections(&self) {
        if let Ok(store) = self.now() {
            store.renew_connections().await;
        }
    }
}
