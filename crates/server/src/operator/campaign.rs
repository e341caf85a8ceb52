//! Many deletes as one run: in transactions of bounded size, told as they are committed, and waited for once at the end.

use gatekey_core::{BATCH, Operator, Revocation, Run};
use gatekey_lease::Receipt;
use gatekey_model::TokenId;

use super::progress;
use crate::Failure;
use crate::signals::Signals;

/// Who does it, and why.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) operator: String,
    pub(super) reason: Option<String>,
}

/// Deletes all of these and waits until that is in force. `told` gets each batch once it is committed.
///
/// # Errors
/// Says what is committed: whatever is, stands, and the same command again does the rest and waits for all.
pub(super) async fn carry_out(
    operator: &Operator,
    who: &Who,
    tokens: &[TokenId],
    signals: &mut Signals,
    mut told: impl FnMut(&[(TokenId, Revocation)]) -> Result<(), Failure>,
) -> Result<Receipt, Failure> {
    let begun = operator.begin(&who.operator, who.reason.as_deref()).await;
    let mut run = begun.map_err(|cause| Failure::caused("nothing was revoked: the store", &cause))?;
    progress(&format!("the audit log has this under {}", run.call_id()));
    let mut committed = 0;
    for batch in tokens.chunks(BATCH) {
        if signals.came().await {
            return Err(stopped(committed, tokens.len()));
        }
        let revoked = operator.revoke(&mut run, batch).await.map_err(|cause| {
            let text = format!(
                "{committed} of {} are committed for sure, and up to {} more may be; run the same command again: the store",
                tokens.len(),
                batch.len()
            );
            Failure::caused(&text, &cause)
        })?;
        committed += batch.len();
        told(&revoked)?;
        if tokens.len() > BATCH {
            progress(&format!("{committed} of {} are committed", tokens.len()));
        }
    }
    wait(operator, &run, committed, signals).await
}

async fn wait(
    operator: &Operator,
    run: &Run,
    committed: usize,
    signals: &mut Signals,
) -> Result<Receipt, Failure> {
    let longest = run.longest_wait();
    progress(&format!("waiting until it is in force everywhere, {:.1} s at the most", longest.as_secs_f64()));
    tokio::select! {
        receipt = operator.in_force(run) => receipt.map_err(|cause| Failure::Run(cause.to_string())),
        () = signals.first() => Err(Failure::Run(format!(
            "interrupted: all {committed} are committed, and in force everywhere {:.1} s from now at the latest; run the \
             same command again to wait for it",
            longest.as_secs_f64()
        ))),
    }
}

fn stopped(committed: usize, all: usize) -> Failure {
    Failure::Run(format!(
        "interrupted: {committed} of {all} are committed, and not waited for; run the same command again to do the rest \
         and to wait for all of them"
    ))
}
