//! What the commands say on standard output: a line for each token, for people or for machines. Never a value.

use gatekey_core::SelectedToken;
use gatekey_lease::Receipt;
use serde_json::{Value, json};

use crate::{Failure, say};

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// What became of a token, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    WouldRevoke,
    Revoked,
    Already,
}

impl Fate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::WouldRevoke => "would_revoke",
            Self::Revoked => "revoked",
            Self::Already => "already",
        }
    }
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) revoked: usize,
    pub(super) already: usize,
    pub(super) unknown: usize,
    pub(super) malformed: usize,
}

impl Format {
    pub(super) fn token(self, fate: Fate, selected: &SelectedToken) -> Result<(), Failure> {
        let token = &selected.token;
        match self {
            Self::Json => {
                print(&json!({ "event": fate.as_str(), "id": token.id.get(), "key": token.key.as_str(),
                "type": token.kind.as_str(), "tenant": token.tenant.as_str(), "creator": token.creator,
                "name": token.name.as_str() }))
            }
            Self::Text => say(&format!(
                "{:<12}  {:>6}  {:<14}  {:<8}  {}  {}  {}",
                fate.as_str(),
                token.id.get(),
                token.key.as_str(),
                token.kind.as_str(),
                token.tenant.as_str(),
                token.creator,
                token.name.as_str()
            )),
        }
    }

    /// A value or a key that no token has. `line` is where it stood on standard input.
    pub(super) fn unknown(self, key: &str, line: Option<usize>) -> Result<(), Failure> {
        match (self, line) {
            (Self::Json, _) => print(&json!({ "event": "unknown", "key": key, "line": line })),
            (Self::Text, None) => say(&format!("unknown       {key}")),
            (Self::Text, Some(line)) => say(&format!("unknown       {key}  line {line}")),
        }
    }

    /// A line that could not be used, and `why`.
    pub(super) fn malformed(self, line: usize, why: &str) -> Result<(), Failure> {
        match self {
            Self::Json => print(&json!({ "event": "malformed", "line": line })),
            Self::Text => say(&format!("malformed     line {line} {why}")),
        }
    }

    /// The last line. Without a receipt nothing was revoked and nothing waited for.
    pub(super) fn summary(self, totals: &Totals, receipt: Option<&Receipt>) -> Result<(), Failure> {
        let Totals { revoked, already, unknown, malformed } = totals;
        match self {
            Self::Json => {
                let mut line = json!({ "event": "summary", "revoked": revoked, "already": already, "unknown": unknown,
                    "malformed": malformed, "in_force": receipt.is_some() });
                if let Some(receipt) = receipt {
                    line["revision"] = receipt.position.to_string().into();
                    line["holders_confirmed"] = receipt.holders_confirmed.into();
                    line["leases_waited_out"] = receipt.leases_waited_out.into();
                    line["elapsed_ms"] =
                        u64::try_from(receipt.elapsed.as_millis()).unwrap_or(u64::MAX).into();
                }
                print(&line)
            }
            Self::Text => {
                let counts =
                    format!("{revoked} revoked, {already} already, {unknown} unknown, {malformed} malformed");
                let Some(receipt) = receipt else { return say(&counts) };
                say(&format!(
                    "{counts}: in force everywhere after {:.3} s, up to {} ({} holders confirmed, {} leases waited out)",
                    receipt.elapsed.as_secs_f64(),
                    receipt.position,
                    receipt.holders_confirmed,
                    receipt.leases_waited_out
                ))
            }
        }
    }
}

/// Lines that could not be used are nothing to pass over: each may be something that was cut off. `what` is wrong in how many
/// lines of what.
pub(super) fn odd_lines(what: &str, malformed: &[usize], rest: &str) -> Result<(), Failure> {
    if malformed.is_empty() {
        return Ok(());
    }
    let numbers: Vec<String> = malformed.iter().take(10).map(ToString::to_string).collect();
    let more = if malformed.len() > 10 { " and more" } else { "" };
    Err(Failure::Run(format!("{what} ({}{more}); {rest}", numbers.join(", "))))
}

fn print(line: &Value) -> Result<(), Failure> {
    say(&line.to_string())
}
