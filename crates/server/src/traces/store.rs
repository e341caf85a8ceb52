//! A store whose answers to calls have spans: OpenTelemetry's conventions for databases. An operation is named as its port is,
//! since it is a transaction and not one statement. What is asked and what is answered is no part of a span.
//!
//! Renewals, confirmations and polls go on all the time and belong to no call: they have none.

use std::sync::Arc;

use async_trait::async_trait;
use gatekey_core::{
    Act, AuditEntry, Bell, Insertion, LeaseStore, ListCursor, LogEntry, NewToken, ReplicaLine, ReplicaRows,
    Revocation, RevocationLog, Snapshot, Store, StoreError, TRACES, TokenStore, Trim, Trimmed, fail,
};
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest, TokenId};
use reqwest::Url;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::config::StoreConfig;

/// What SQLite calls the file that it has opened.
const SQLITE_NAMESPACE: &str = "main";

pub(super) struct TracedStore {
    inner: Arc<dyn Store>,
    system: &'static str,
    namespace: Option<String>,
}

impl TracedStore {
    pub(super) fn new(inner: Arc<dyn Store>, config: &StoreConfig) -> Self {
        let (system, namespace) = match config {
            StoreConfig::Sqlite(_) => ("sqlite", Some(SQLITE_NAMESPACE.to_owned())),
            StoreConfig::Postgres(postgres) => ("postgresql", database(postgres.url.expose())),
        };
        Self { inner, system, namespace }
    }

    async fn traced<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let span = self.span(operation);
        let outcome = work.instrument(span.clone()).await;
        if let Err(error) = &outcome {
            fail(&span, error.kind());
        }
        outcome
    }

    fn span(&self, operation: &'static str) -> Span {
        info_span!(
            target: TRACES,
            "store",
            "otel.name" = format_args!("{operation} {}", self.namespace.as_deref().unwrap_or(self.system)),
            "otel.kind" = "client",
            "db.system.name" = self.system,
            "db.operation.name" = operation,
            "db.namespace" = self.namespace.as_deref(),
            "error.type" = Empty,
            "otel.status_code" = Empty,
        )
    }
}

/// The database of a URL, if it has one. A URL has other things that must not be told.
fn database(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let name = url.path().trim_start_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

#[async_trait]
impl TokenStore for TracedStore {
    async fn insert_token(&self, token: NewToken) -> Result<Insertion, StoreError> {
        self.traced("insert_token", self.inner.insert_token(token)).await
    }

    async fn list_tokens(
        &self,
        tenant: &TenantId,
        after: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        self.traced("list_tokens", self.inner.list_tokens(tenant, after, limit)).await
    }

    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: TokenId,
        nonce: Nonce,
        act: &Act,
    ) -> Result<Option<Revocation>, StoreError> {
        self.traced("revoke_token", self.inner.revoke_token(tenant, id, nonce, act)).await
    }

    async fn find_by_digest(
        &self,
        digest: &TokenDigest,
        holder: Option<Position>,
    ) -> Result<Snapshot, StoreError> {
        self.traced("find_by_digest", self.inner.find_by_digest(digest, holder)).await
    }

    async fn record_refusal(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.traced("record_refusal", self.inner.record_refusal(entry)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

#[async_trait]
impl RevocationLog for TracedStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn entries_from(&self, from: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.inner.entries_from(from, limit).await
    }

    async fn trim_log(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        self.inner.trim_log(trim).await
    }
}

#[async_trait]
impl LeaseStore for TracedStore {
    async fn open_line(&self) -> Result<Box<dyn ReplicaLine>, StoreError> {
        self.inner.open_line().await
    }

    async fn open_bell(&self) -> Result<Box<dyn Bell>, StoreError> {
        self.inner.open_bell().await
    }

    async fn replica_rows(&self, positions: &[Position]) -> Result<ReplicaRows, StoreError> {
        self.inner.replica_rows(positions).await
    }

    async fn renew_connections(&self) {
        self.inner.renew_connections().await;
    }
}

#[cfg(test)]
mod tests {
    use super::database;

    #[test]
    fn only_the_name_of_the_database_is_told() {
        assert_eq!(
            database("postgres://user:hunter2@db:5432/gatekey?sslmode=require").as_deref(),
            Some("gatekey")
        );
        for none in ["postgres://user:hunter2@db", "postgres://user:hunter2@db/", "no url"] {
            assert_eq!(database(none), None, "{none}");
        }
    }
}
