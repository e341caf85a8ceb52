//! Many deletes as one run: in transactions of bounded size, told as they are committed, and waited for once at the end.

use std::pin::pin;
use std::time::Duration;

use gatekey_core::{BATCH, Operator, Revocation, Run};
use gatekey_lease::Receipt;
use gatekey_model::TokenId;
use tokio::time::timeout;

use super::progress;
use crate::Failure;
use crate::signals::Signals;

/// How much later than at the most it may be known, before a word is said of it.
const GRACE: Duration = Duration::from_secs(2);

/// Who does it, and why.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) operator: String,
    pub(super) reason: Option<String>,
}

/// Deletes all of these and waits until that is in force. `told` gets each batch once it is committed. Where it can't say so,
/// as nobody reads standard output any more, that stops nothing and is reported at the end.
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
    let mut unsaid = None;
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
        if let Err(failure) = told(&revoked) {
            unsaid.get_or_insert(failure);
        }
        if tokens.len() > BATCH {
            progress(&format!("{committed} of {} are committed", tokens.len()));
        }
    }
    let receipt = wait(operator, &run, committed, signals).await?;
    unsaid.map_or(Ok(receipt), |failure| Err(done_but(&failure)))
}

/// Everything is done, and something could not be said.
pub(super) fn done_but(failure: &Failure) -> Failure {
    Failure::Run(format!(
        "everything is revoked, and that is in force everywhere; but not all of it was said: {failure}"
    ))
}

async fn wait(
    operator: &Operator,
    run: &Run,
    committed: usize,
    signals: &mut Signals,
) -> Result<Receipt, Failure> {
    let longest = run.longest_wait();
    progress(&format!("waiting until it is in force everywhere, {:.1} s at the most", longest.as_secs_f64()));
    let mut in_force = pin!(operator.in_force(run));
    let known = async {
        if let Ok(known) = timeout(longest + GRACE, &mut in_force).await {
            return known;
        }
        progress(
            "still waiting: the store does not answer, and only its log can tell that a failover lost nothing of it; an \
             interrupt ends the wait",
        );
        in_force.await
    };
    tokio::select! {
        receipt = known => receipt.map_err(|cause| Failure::Run(cause.to_string())),
        () = signals.first() => Err(Failure::Run(format!(
            "interrupted: all {committed} are committed, and in force everywhere {:.1} s from now at the latest, unless the \
             store loses them; run the same command again to wait for it",
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
