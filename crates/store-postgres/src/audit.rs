//! Writes the audit log.

use crate::fault::Fault;
use crate::statements::Statements;
use gatekey_core::AuditEntry;

pub(crate) async fn record(connection: &mut Statements<'_>, entry: AuditEntry) -> Result<(), Fault> {
    let AuditEntry { act, action, token_id, outcome } = entry;
    sqlx::query(
        "INSERT INTO audit_log (log_time, issuer, subject, tenant, action, token_id, call_id, outcome)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(act.at.to_date_time())
    .bind(&act.issuer)
    .bind(&act.subject)
    .bind(act.tenant.as_ref().map(gatekey_model::TenantId::as_str))
    .bind(action.as_str())
    .bind(token_id)
    .bind(&act.call_id)
    .bind(outcome.to_text())
    .execute(connection)
    .await?;
    Ok(())
}
