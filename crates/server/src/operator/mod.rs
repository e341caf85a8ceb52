//! The commands for bad days: `revoke`, `revocations export` and `replay`, `restored`, `backup`. Each works on the store itself,
//! beside running servers on Postgres and in their place on SQLite. What a revocation is, `gatekey-core` knows.

mod backup;
mod campaign;
mod coverage;
mod export;
mod exported;
mod history;
mod keys;
mod replay;
mod report;
mod restored;
mod revoke;
mod values;

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use gatekey_core::{Operator, SystemClock};

pub(crate) use backup::run as backup;
pub(crate) use export::run as export;
pub(crate) use replay::run as replay;
pub(crate) use restored::run as restored;
pub(crate) use revoke::run as revoke;

use crate::Failure;
use crate::cli::Record;
use crate::config::{ConfigError, StoreConfig};
use crate::store::{self, OpenStore};

/// As long as a name in the audit log or a reason may be, in characters.
const LONGEST: usize = 255;

/// Opens a store that exists, and an operator with it.
async fn open(config: &StoreConfig) -> Result<(OpenStore, Operator), Failure> {
    if let StoreConfig::Sqlite(path) = config {
        // Else a mistyped name would make a new one, in which nothing is to be revoked.
        if !path.exists() {
            return Err(ConfigError::one(format!("--data-dir: there is no {}", path.display())).into());
        }
    }
    let opened = store::open(config, store::COMMAND).await.map_err(|not_open| match (config, not_open.failure) {
        (StoreConfig::Sqlite(_), Failure::Run(text)) if text.contains("is in use by another process") => {
            Failure::Run(format!(
                "{text}\ngatekey: SQLite is one process's: delete the tokens through the running server (the page, \
                 DeleteToken or DELETE /api/v3/tokens/ID, as a developer or an admin of their tenant), or stop it, run \
                 this again, and start it"
            ))
        }
        (_, failure) => failure,
    })?;
    let operator = Operator::new(opened.operated(), Arc::new(SystemClock));
    Ok((opened, operator))
}

/// Who is on record as the one who did it, and why. All problems are put with the others.
fn record(given: &Record, problems: &mut Vec<String>) -> (String, Option<String>) {
    let mut check = |flag: &str, text: &str| {
        if text.trim().is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
            problems.push(format!(
                "{flag}: must have 1 to {LONGEST} characters, none of them a control character"
            ));
        }
        if gatekey_model::PresentedToken::find_in(text).next().is_some() {
            problems
                .push(format!("{flag}: must not hold a token value; its key, the first part, says enough"));
        }
    };
    if let Some(reason) = &given.reason {
        check("--reason", reason);
    }
    if let Some(operator) = &given.operator {
        check("--operator", operator);
    }
    let operator = given.operator.clone().unwrap_or_else(user_and_host);
    (operator, given.reason.clone())
}

/// As the operating system has it: for people to ask, not a proof. Whoever has the store could write anything.
fn user_and_host() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = named.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let owner = std::fs::metadata("/proc/self").map(|process| process.uid());
        owner.map_or_else(|_| "unknown".to_owned(), |uid| format!("uid {uid}"))
    });
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim()).chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// What is said on standard error on the way.
pub(crate) fn progress(text: &str) {
    use std::io::Write;
    // If nobody reads standard error any more, nobody has to be told.
    writeln!(std::io::stderr(), "gatekey: {text}").ok();
}
