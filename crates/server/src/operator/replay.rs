//! `gatekey revocations replay`: deletes again, after a restore, what was deleted since the backup was made.

use std::io::{self, Read};
use std::path::Path;

use gatekey_core::{BATCH, Operator, Selection, StoreError};
use gatekey_lease::Seq;
use gatekey_model::TokenId;

use super::campaign::{Who, carry_out, done_but};
use super::coverage::{Coverage, Missing};
use super::exported::Exported;
use super::history::History;
use super::report::{self, Format, Totals};
use super::{open, record};
use crate::cli::Replay;
use crate::config::{ConfigError, Settings};
use crate::signals::Signals;
use crate::{Failure, say};

pub(crate) async fn run(request: Replay) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let (operator, reason) = record(&request.record, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError::all(problems).into());
    }
    let reason = reason.unwrap_or_else(|| "an export of revocations is replayed".to_owned());
    let who = Who { operator, reason: Some(reason) };
    let (config, _) = Settings::from(request.store).check_store()?;
    let exported = exported(&request.file, request.partial)?;
    let mut signals = Signals::listen()?;
    let (opened, operator) = open(&config).await?;
    let outcome = async {
        let coverage = Coverage::of(&exported.pieces);
        if !request.partial {
            joined(&operator, &exported.history, &coverage).await?;
        }
        replay(&operator, &who, &exported, &coverage, &mut signals).await
    };
    let outcome = outcome.await;
    opened.close().await;
    outcome
}

/// Nothing of a file that is not whole is taken, unless that is asked for.
fn exported(file: &Path, partial: bool) -> Result<Exported, Failure> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|cause| Failure::run(&file.display().to_string(), cause))?;
    // A line that is damaged is none of an export, and the others are.
    let exported = Exported::read(&String::from_utf8_lossy(&bytes));
    if partial || (exported.whole && exported.malformed.is_empty()) {
        return Ok(exported);
    }
    let what = match exported.malformed.first() {
        Some(line) => format!("line {line} is none of an export"),
        None => "it was cut off: a last line with the right count is missing".to_owned(),
    };
    Err(Failure::Run(format!(
        "{}: {what}; nothing was replayed. --partial takes what can be read",
        file.display()
    )))
}

fn nothing_replayed(cause: &StoreError) -> Failure {
    Failure::caused("nothing was replayed: the store", cause)
}

/// Exports that each are whole may still leave something out between them, or before the first, which was made after the
/// backup. And they may be of several histories, so that what seems to join does not.
async fn joined(operator: &Operator, history: &History, coverage: &Coverage) -> Result<(), Failure> {
    if let Some(forked) = history.forked() {
        return Err(Failure::Run(format!(
            "the exports are of several histories: number {} of the log stands for two revocations; nothing was replayed. \
             Leave out those of a history that this database is not of: that were made before an earlier restore or \
             failover, or after the backup was followed by another. --partial takes what there is",
            forked.get()
        )));
    }
    let head = operator.head().await.map_err(|cause| nothing_replayed(&cause))?.seq;
    let missing: Vec<String> = coverage.missing(head).iter().map(Missing::to_string).collect();
    if missing.is_empty() {
        return of_this_history(operator, history, coverage).await;
    }
    Err(Failure::Run(format!(
        "revocations {} of the log are in none of the exports; nothing was replayed. The database has come to {}, so that \
         exports that end before it can be left out. --partial takes what there is",
        missing.join(", "),
        head.get()
    )))
}

/// What the first export begins after is in the log here: the same revocation, not another of that number.
async fn of_this_history(operator: &Operator, history: &History, coverage: &Coverage) -> Result<(), Failure> {
    // Whatever the database lacks, a full export has it.
    let after = coverage.after().filter(|after| *after != Seq::GENESIS);
    let Some(begin) = after.and_then(|after| history.at(after)) else { return Ok(()) };
    if operator.has_come_by(begin).await.map_err(|cause| nothing_replayed(&cause))? {
        return Ok(());
    }
    Err(Failure::Run(format!(
        "the exports begin after number {} of the log, where this database has another revocation, so that what it lacks \
         before that is in none of them; nothing was replayed. A full export has it, or one that begins earlier. --partial \
         takes what there is",
        begin.seq.get()
    )))
}

async fn replay(
    operator: &Operator,
    who: &Who,
    exported: &Exported,
    coverage: &Coverage,
    signals: &mut Signals,
) -> Result<(), Failure> {
    const ODD: &str = "is none of an export";
    let told = exported.malformed.iter().try_for_each(|line| Format::Text.malformed(*line, ODD));
    told.map_err(|failure| Failure::Run(format!("nothing was replayed: {failure}")))?;
    let odd_lines = |rest: &str| {
        report::odd_lines(
            &format!("none of an export in {} lines", exported.malformed.len()),
            &exported.malformed,
            rest,
        )
    };
    let (mut live, mut known): (Vec<TokenId>, usize) = (Vec::new(), 0);
    for digests in exported.digests.chunks(BATCH) {
        let found = operator
            .select(&Selection::Digests(digests.to_vec()))
            .await
            .map_err(|cause| nothing_replayed(&cause))?;
        known += found.len();
        live.extend(found.iter().filter(|found| found.revoked.is_none()).map(|found| found.token.id));
    }
    let mut totals = Totals {
        unknown: exported.digests.len() - known,
        malformed: exported.malformed.len(),
        ..Totals::default()
    };
    let summary = |totals: &Totals, receipt| {
        say(&format!("the exports have of the log: {coverage}"))?;
        Format::Text.summary(totals, receipt)
    };
    if known == 0 {
        summary(&totals, None)?;
        return odd_lines("no token was found");
    }
    let receipt = carry_out(operator, who, &live, signals, |batch| {
        totals.revoked += batch.iter().filter(|(_, revocation)| !revocation.repeated).count();
        Ok(())
    });
    let receipt = receipt.await?;
    totals.already = known - totals.revoked;
    summary(&totals, Some(&receipt)).map_err(|failure| done_but(&failure))?;
    if totals.unknown > 0 {
        super::progress(
            "unknown are tokens that were created since the backup was made: their values are refused, as nobody knows \
             them any more",
        );
    }
    odd_lines("everything else is revoked, and that is in force everywhere")
}
