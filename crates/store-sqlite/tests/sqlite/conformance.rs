//! The suite that every store must pass.

use std::sync::Arc;

use async_trait::async_trait;
use gatekey_core::OperatorStore;
use gatekey_core::conformance::{AuditRow, Fixture};
use gatekey_core::conformance_suite;
use gatekey_model::{TenantId, Timestamp};
use gatekey_store_sqlite::SqliteStore;

use crate::folder::Folder;

struct Sqlite {
    folder: Folder,
    store: SqliteStore,
}

impl Sqlite {
    async fn new() -> Self {
        let folder = Folder::create();
        let store = folder.open().await;
        Self { folder, store }
    }
}

type Row = (i64, String, String, String, Option<i64>, String, String);

#[async_trait]
impl Fixture for Sqlite {
    fn store(&self) -> Arc<dyn OperatorStore> {
        Arc::new(self.store.clone())
    }

    async fn audit(&self, tenant: &TenantId) -> Vec<AuditRow> {
        let pool = self.folder.pool();
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT log_time, issuer, subject, action, token_id, call_id, outcome
             FROM audit_log WHERE tenant = ?1 ORDER BY id",
        )
        .bind(tenant.as_str())
        .fetch_all(&pool)
        .await
        .expect("reads");
        pool.close().await;
        let row = |(at, issuer, subject, action, token_id, call_id, outcome)| AuditRow {
            at: Timestamp::from_unix_micros(at).expect("a moment"),
            issuer,
            subject,
            action,
            token_id,
            call_id,
            outcome,
        };
        rows.into_iter().map(row).collect()
    }

    async fn finish(&self) {
        self.store.close().await;
    }
}

conformance_suite!(Sqlite::new().await);
