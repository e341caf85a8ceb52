//! `gatekey revocations export`: all revocations, from the tokens' tombstones, which are kept for ever.

use gatekey_core::RevokedToken;
use gatekey_lease::{Position, Seq};
use gatekey_model::Timestamp;
use gatekey_store_sqlite::SqliteReader;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::exported::Line;
use super::{open, progress};
use crate::cli::Export;
use crate::config::{ConfigError, Settings, StoreConfig};
use crate::{Failure, say};

pub(crate) async fn run(request: Export) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let since = request.since.as_deref().and_then(|text| {
        let since = OffsetDateTime::parse(text, &Rfc3339).ok();
        if since.is_none() {
            problems.push("--since: must be a moment as in 2026-11-28T09:30:00Z (RFC 3339)".to_owned());
        }
        since.map(Timestamp::from_date_time)
    });
    let after = Seq::new(request.after.unwrap_or(0)).unwrap_or_else(|| {
        problems.push("--after: must be 0 or more".to_owned());
        Seq::GENESIS
    });
    if !problems.is_empty() {
        return Err(ConfigError::all(problems).into());
    }
    let (config, _) = Settings::from(request.store).check_store()?;
    // That which it begins after is read as well: by its nonce it is known which history this is.
    let before = Seq::new(after.get() - 1);
    let (head, revoked) = read(&config, before.unwrap_or(Seq::GENESIS)).await?;
    if after > head.seq {
        return Err(beyond(after, head));
    }
    let (at, revoked) = match revoked.split_first() {
        _ if before.is_none() => (None, &revoked[..]),
        Some((at, rest)) if at.position.seq == after => (Some(at.position), rest),
        _ => return Err(unknown(after)),
    };
    let wanted = |revoked: &RevokedToken| since.is_none_or(|since| revoked.at.is_none_or(|at| at >= since));
    let (mut count, mut after) = (0, at);
    for revoked in revoked {
        if wanted(revoked) {
            print(&Line::of(revoked))?;
            count += 1;
        } else {
            // It has no more than what comes after the last that it leaves out.
            after = Some(revoked.position);
        }
    }
    print(&Line::end(head, after, count))?;
    progress(&format!("{count} revocations; the next export may go on with --after {}", head.seq.get()));
    Ok(())
}

/// Such a number is of a history that is gone. What it would leave out may never have been exported.
fn beyond(after: Seq, head: Position) -> Failure {
    Failure::Run(format!(
        "--after {}: the log has only come to {}, so that number is not of this history: make a full export, without \
         --after, after every restore and every failover",
        after.get(),
        head.seq.get()
    ))
}

fn unknown(after: Seq) -> Failure {
    Failure::Run(format!(
        "--after {}: no token was revoked at that number, which no log leaves out: make a full export, without --after, and          look at the database",
        after.get()
    ))
}

/// Beside a running server on SQLite too, as nothing is written.
async fn read(config: &StoreConfig, after: Seq) -> Result<(Position, Vec<RevokedToken>), Failure> {
    if let StoreConfig::Sqlite(path) = config {
        let failed = |cause: &dyn std::error::Error| Failure::caused("the SQLite store", cause);
        let reader = SqliteReader::open(path).await.map_err(|cause| failed(&cause))?;
        let read = reader.revoked_after(after).await.map_err(|cause| failed(&cause));
        reader.close().await;
        return read;
    }
    let (opened, operator) = open(config).await?;
    let read = operator.revoked_after(after).await.map_err(|cause| Failure::caused("the store", &cause));
    opened.close().await;
    read
}

fn print(line: &Line) -> Result<(), Failure> {
    say(&serde_json::to_string(line).map_err(|cause| Failure::run("a line of JSON", cause))?)
}
