//! The suite that every store must pass.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gatekey_core::OperatorStore;
use gatekey_core::conformance::{AuditRow, Fixture};
use gatekey_core::conformance_suite;
use gatekey_model::{TenantId, Timestamp};
use gatekey_store_postgres::{Pooler, PostgresOptions, PostgresStore};
use sqlx::types::time::OffsetDateTime;

use crate::database::Database;
use crate::pooler::PgBouncer;

struct Postgres {
    database: Database,
    store: PostgresStore,
    /// Goes after the store.
    _pooler: Option<PgBouncer>,
}

impl Postgres {
    async fn new() -> Self {
        let (database, owner) = Database::migrated().await;
        owner.close().await;
        let store = PostgresStore::connect(patient(database.options())).await.expect("connects");
        Self { database, store, _pooler: None }
    }

    /// By way of a pooler in transaction mode, the lines and bells included unless they go past it.
    async fn pooled(past: bool) -> Self {
        let (database, owner) = Database::migrated().await;
        owner.close().await;
        let pooler = PgBouncer::before(database.port);
        let options = PostgresOptions {
            pooler: Pooler::Transaction,
            direct_url: past.then(|| database.url(&database.host, database.port)),
            ..patient(PostgresOptions::new(database.url("127.0.0.1", pooler.port)))
        };
        let store = PostgresStore::connect(options).await.expect("connects");
        Self { database, store, _pooler: Some(pooler) }
    }
}

/// What is asked here is what is answered, and not how soon: a hundred of these cases run at once, and one that stands still for a
/// second in the midst of a transaction must not lose its session.
fn patient(options: PostgresOptions) -> PostgresOptions {
    let minute = Duration::from_mins(1);
    PostgresOptions { operation_timeout: minute, acquire_timeout: minute, lock_timeout: minute, ..options }
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

/// Behind `PgBouncer`, with a way past it.
mod past_a_pooler {
    use super::*;

    conformance_suite!(Postgres::pooled(true).await);
}

/// Behind `PgBouncer`, without one: all but the bells, which ring for nobody there.
mod behind_a_pooler {
    use super::*;

    conformance_suite! { @cases Postgres::pooled(false).await =>
        a_token_is_found_as_it_was_created
        every_character_is_kept
        a_repeated_create_replaces
        concurrent_repeats_leave_one_live_token
        commit_order_is_log_order
        a_digest_is_looked_up_in_an_epoch
        a_revocation_whose_caller_went_away_is_whole
        reads_whose_callers_went_away_disturb_nobody
        a_row_is_committed_and_counted
        a_row_outlives_its_line
        a_row_is_removed_at_its_count_only
        a_row_comes_back_without_its_confirmation
        a_removal_never_hits_a_renewed_row
        the_longest_lease_is_never_lowered
        a_confirmation_is_of_a_very_entry
        positions_are_looked_up_with_the_rows
        a_line_reads_the_head_and_the_log
        many_lines_at_once
        reads_go_on_while_they_are_renewed
    }
}
