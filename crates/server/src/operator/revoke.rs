//! `gatekey revoke`: from what is asked for to tokens, and their revocation.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};

use gatekey_core::{BATCH, Operator, SelectedToken, Selection};
use gatekey_model::{TenantId, TokenId};

use super::campaign::{Who, carry_out, done_but};
use super::keys;
use super::report::{self, Fate, Format, Totals};
use super::values::{self, Value};
use super::{open, record};
use crate::cli::Revoke;
use crate::config::{ConfigError, Settings};
use crate::signals::Signals;
use crate::{Failure, say};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Values,
    /// Tokens that are named: a tombstone among them is deleted again, as DeleteToken would.
    Named(Selection),
    /// All of a kind: tombstones are only counted.
    All(Selection),
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    tokens: Vec<SelectedToken>,
    /// Keys that no token has, each with the line in which it stood.
    unknown: Vec<(String, Option<usize>)>,
    malformed: Vec<usize>,
}

pub(crate) async fn run(request: Revoke) -> Result<(), Failure> {
    let format = if request.json { Format::Json } else { Format::Text };
    let mut problems = Vec::new();
    let asked = asked(&request, &mut problems);
    let (operator, reason) = record(&request.record, &mut problems);
    let Some(asked) = asked.filter(|_| problems.is_empty()) else {
        return Err(ConfigError::all(problems).into());
    };
    let who = Who { operator, reason };
    let (config, _) = Settings::from(request.store).check_store()?;
    let given = match asked {
        Asked::Values => {
            Some(values::read(io::stdin().lock()).map_err(|cause| Failure::run("standard input", cause))?)
        }
        _ => None,
    };
    let (opened, operator) = open(&config).await?;
    let options = Options { format, dry_run: request.dry_run, yes: request.yes };
    let outcome = async {
        let found = find(&operator, &asked, given).await?;
        revoke(&operator, &who, &asked, found, options).await
    };
    let outcome = outcome.await;
    opened.close().await;
    outcome
}

#[derive(Clone, Copy)]
struct Options {
    format: Format,
    dry_run: bool,
    yes: bool,
}

/// Exactly one way to name tokens.
fn asked(request: &Revoke, problems: &mut Vec<String>) -> Option<Asked> {
    let Revoke { value_stdin, keys, tenant, creator, id, .. } = request;
    let ways = [*value_stdin, !keys.is_empty(), creator.is_some(), id.is_some()];
    let tenant = tenant.as_deref().map(TenantId::parse).transpose().unwrap_or_else(|rule| {
        problems.push(format!("--tenant: {rule}"));
        None
    });
    match (ways.iter().filter(|given| **given).count(), &tenant) {
        (0, None) => {
            if request.tenant.is_none() {
                problems.push(
                    "--value-stdin, --key, --tenant, --creator or --id: give one, to say which tokens"
                        .to_owned(),
                );
            }
            return None;
        }
        (0, Some(tenant)) => return Some(Asked::All(Selection::Tenant(tenant.clone()))),
        (1, _) => {}
        _ => {
            problems.push("--value-stdin, --key, --creator, --id: give one of them only".to_owned());
            return None;
        }
    }
    if (*value_stdin || !keys.is_empty()) && request.tenant.is_some() {
        problems.push("--tenant: goes alone, with --creator or with --id".to_owned());
        return None;
    }
    if *value_stdin {
        return Some(Asked::Values);
    }
    if let Some(subject) = creator {
        return Some(Asked::All(Selection::Creator { subject: subject.clone(), tenant }));
    }
    if let Some(id) = id {
        let id = TokenId::parse(*id).ok().or_else(|| {
            problems.push("--id: must be 1 or more".to_owned());
            None
        });
        if request.tenant.is_none() {
            problems.push("--id: give --tenant too: whose token it is".to_owned());
        }
        return Some(Asked::Named(Selection::Id { tenant: tenant?, id: id? }));
    }
    // None is shown: it may be a value, or a part of one, given by mistake.
    let Some(keys) = keys.iter().map(|key| keys::parse(key)).collect::<Option<Vec<_>>>() else {
        problems.push(
            "--key: must be a key and no more, as in gk_b_vZ9YpZhu: the first part of a value, up to the 8 letters and \
             digits after _b_ or _r_, and not the value"
                .to_owned(),
        );
        return None;
    };
    Some(Asked::Named(Selection::Keys(keys)))
}

async fn find(operator: &Operator, asked: &Asked, given: Option<values::Given>) -> Result<Found, Failure> {
    let failed = |cause| Failure::caused("nothing was revoked: the store", &cause);
    match asked {
        Asked::Values => {
            let given = given.unwrap_or_default();
            let tokens = find_values(operator, &given.values).await.map_err(failed)?;
            let known: HashSet<_> = tokens.iter().map(|found| found.digest).collect();
            let unknown = given.values.into_iter().filter(|value| !known.contains(&value.digest));
            let unknown = unknown.map(|value| (value.key, Some(value.line))).collect();
            Ok(Found { tokens, unknown, malformed: given.malformed })
        }
        Asked::Named(selection) | Asked::All(selection) => {
            let tokens = operator.select(selection).await.map_err(failed)?;
            let unknown = match selection {
                Selection::Keys(keys) => {
                    let known: HashSet<_> = tokens.iter().map(|found| found.token.key.as_str()).collect();
                    let unknown = keys.iter().filter(|key| !known.contains(key.as_str()));
                    unknown.map(|key| (key.as_str().to_owned(), None)).collect()
                }
                Selection::Id { id, .. } if tokens.is_empty() => vec![(id.to_string(), None)],
                _ => Vec::new(),
            };
            Ok(Found { tokens, unknown, malformed: Vec::new() })
        }
    }
}

async fn find_values(
    operator: &Operator,
    values: &[Value],
) -> Result<Vec<SelectedToken>, gatekey_core::StoreError> {
    let mut tokens = Vec::new();
    for values in values.chunks(BATCH) {
        let digests = values.iter().map(|value| value.digest).collect();
        tokens.extend(operator.select(&Selection::Digests(digests)).await?);
    }
    Ok(tokens)
}

async fn revoke(
    operator: &Operator,
    who: &Who,
    asked: &Asked,
    found: Found,
    options: Options,
) -> Result<(), Failure> {
    let Options { format, dry_run, yes } = options;
    let Found { tokens, unknown, malformed } = found;
    let live = tokens.iter().filter(|found| found.revoked.is_none()).count();
    let mut totals = Totals { unknown: unknown.len(), malformed: malformed.len(), ..Totals::default() };
    say_unfound(format, &malformed, &unknown)
        .map_err(|failure| Failure::Run(format!("nothing was revoked: {failure}")))?;
    let shown = |found: &&SelectedToken| found.revoked.is_none() || !matches!(asked, Asked::All(_));
    let doomed: Vec<TokenId> = tokens.iter().filter(shown).map(|found| found.token.id).collect();
    if dry_run {
        for found in tokens.iter().filter(shown) {
            let fate = if found.revoked.is_some() { Fate::Already } else { Fate::WouldRevoke };
            format.token(fate, found)?;
        }
        totals.already = tokens.len() - live;
        say_dry(format, live, &totals)?;
        return odd_lines(&malformed, "nothing was revoked, as --dry-run asks for");
    }
    if tokens.is_empty() {
        format.summary(&totals, None)?;
        return odd_lines(&malformed, "no token was found");
    }
    if live > 1 && !yes {
        ask(live)?;
    }
    // Not before: until here a signal ends the command at once, whatever it reads or asks, and nothing is committed.
    let mut signals = Signals::listen()?;
    let by_id: HashMap<TokenId, &SelectedToken> =
        tokens.iter().map(|found| (found.token.id, found)).collect();
    let (mut revoked, mut repeated) = (0, 0);
    let receipt = carry_out(operator, who, &doomed, &mut signals, |batch| {
        for (id, revocation) in batch {
            let fate = if revocation.repeated { Fate::Already } else { Fate::Revoked };
            revoked += usize::from(!revocation.repeated);
            repeated += usize::from(revocation.repeated);
            if let Some(found) = by_id.get(id) {
                format.token(fate, found)?;
            }
        }
        Ok(())
    });
    let receipt = receipt.await?;
    totals.revoked = revoked;
    totals.already = tokens.len() - doomed.len() + repeated;
    format.summary(&totals, Some(&receipt)).map_err(|failure| done_but(&failure))?;
    odd_lines(&malformed, "everything else is revoked, and that is in force everywhere")
}

/// What was asked for and is not there.
fn say_unfound(
    format: Format,
    malformed: &[usize],
    unknown: &[(String, Option<usize>)],
) -> Result<(), Failure> {
    malformed.iter().try_for_each(|line| format.malformed(*line, "has no token value in it"))?;
    unknown.iter().try_for_each(|(key, line)| format.unknown(key, *line))
}

fn say_dry(format: Format, live: usize, totals: &Totals) -> Result<(), Failure> {
    let Totals { already, unknown, malformed, .. } = totals;
    match format {
        Format::Json => say(&serde_json::json!({ "event": "summary", "dry_run": true, "would_revoke": live,
            "already": already, "unknown": unknown, "malformed": malformed })
        .to_string()),
        Format::Text => say(&format!(
            "dry run: {live} would be revoked, {already} already, {unknown} unknown, {malformed} malformed"
        )),
    }
}

/// One may be a value that was cut off.
fn odd_lines(malformed: &[usize], rest: &str) -> Result<(), Failure> {
    let what = format!("no token value in {} lines of standard input", malformed.len());
    report::odd_lines(&what, malformed, rest)
}

/// Asks whoever sits there.
fn ask(live: usize) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(ConfigError::one(format!(
            "--yes: needed to revoke {live} tokens where standard input is no terminal; --dry-run lists them"
        ))
        .into());
    }
    let failed = |cause| Failure::run("the terminal", cause);
    write!(io::stderr(), "Revoke {live} tokens? That can't be undone. Type yes: ").map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::Run("nothing was revoked".to_owned())) }
}

#[cfg(test)]
mod tests;
