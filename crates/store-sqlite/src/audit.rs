//! Writes the audit log.

use gatekey_core::AuditEntry;
use sqlx::SqliteConnection;

use crate::bounded::Ending;
use crate::fault::Fault;

pub(crate) async fn record(
    connection: &mut SqliteConnection,
    entry: AuditEntry,
) -> Result<Ending<()>, Fault> {
    let AuditEntry { act, action, token_id, outcome } = entry;
    sqlx::query(
        "INSERT INTO audit_log (log_time, issuer, subject, tenant, action, token_id, call_id, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(act.at.unix_micros())
    .bind(act.issuer)
    .bind(act.subject)
    .bind(act.tenant.as_ref().map(gatekey_model::TenantId::as_str))
    .bind(action.as_str())
    .bind(token_id)
    .bind(act.call_id)
    .bind(outcome.to_text())
    .execute(connection)
    .await?;
    Ok(Ending::Commit(()))
}
