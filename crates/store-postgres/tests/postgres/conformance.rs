//! The suite that every store must pass.

use std::sync::Arc;

use async_trait::async_trait;
use gatekey_core::OperatorStore;
use gatekey_core::conformance::{AuditRow, Fixture};
use gatekey_core::conformance_suite;
use gatekey_model::{TenantId, Timestamp};
use gatekey_store_postgres::PostgresStore;
use sqlx::types::time::OffsetDateTime;

use crate::database::Database;

struct Postgres {
    database: Database,
    store: PostgresStore,
}

impl Postgres {
    async fn new() -> Self {
        let (database, store) = Database::migrated().await;
        Self { database, store }
    }
}

type Row = (OffsetDateTime, String, String, String, Option<i64>, String, String);

#[async_trait]
impl Fixture for Postgres {
    fn store(&self) -> Arc<dyn OperatorStore> {
        Arc::new(self.store.clone())
    }

    async fn audit(&self, tenant: &TenantId) -> Vec<AuditRow> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT log_time, issuer, subject, action, token_id, call_id, outcome
             FROM audit_log WHERE tenant = $1 ORDER BY id",
        )
        .bind(tenant.as_str())
        .fetch_all(&mut self.database.connection().await)
        .await
        .expect("reads");
        let row = |(at, issuer, subject, action, token_id, call_id, outcome)| AuditRow {
            at: Timestamp::from_date_time(at),
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
        self.database.drop().await;
    }
}

conformance_suite!(Postgres::new().await);
