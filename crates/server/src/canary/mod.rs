//! `gatekey canary`: creates, caches, deletes and probes for as long as it is left running, so that an operator
//! sees whether revocation is strict in their own installation.

mod account;
mod delays;
mod endpoint;
mod holding;
mod jwt;
mod leftovers;
mod round;
mod settings;
mod stream;
mod trouble;
mod wire;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::HolderId;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::signals::Signals;
use crate::{Failure, cli, say};
use account::{Round, Totals};
use endpoint::Endpoint;
use holding::Holding;
use round::Rounds;
use settings::Settings;

/// The least pause after a round that did not succeed, so that an outage is no busy loop.
const BREATH: Duration = Duration::from_millis(200);
/// How long the canary cleans up in the end: longer than 1.25 of the default lease.
const CLEAN_UP: Duration = Duration::from_secs(15);
/// How long it takes to leave its stream.
const FAREWELL: Duration = Duration::from_secs(3);

pub(crate) async fn run(request: &cli::Canary) -> Result<(), Failure> {
    let jwt = std::env::var("GATEKEY_JWT").ok();
    let Settings { endpoints, jwt, interval, count } = Settings::check(request, jwt.as_deref())?;
    let mut signals = Signals::listen()?;
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|cause| Failure::run("no random numbers", cause))?;

    let jwt = Arc::new(jwt);
    let connect = |(name, endpoint)| Endpoint::new(name, endpoint, Arc::clone(&jwt));
    let endpoints: Arc<[Endpoint]> = endpoints.into_iter().map(connect).collect();
    let holding = Arc::new(Holding::new(HolderId(u128::from_be_bytes(id))));
    let (leave, left) = watch::channel(false);
    let stream = tokio::spawn(stream::keep(Arc::clone(&holding), Arc::clone(&endpoints), left));

    let mut rounds = Rounds::new(endpoints, holding);
    let mut totals = Totals::default();
    let said = watch(&mut rounds, &mut totals, &mut signals, interval, count).await;
    let cleaned = clean_up(&mut rounds, &mut totals, &mut signals).await;
    leave.send_replace(true);
    // If it does not end, its lease does.
    timeout(FAREWELL, stream).await.ok();
    said.and(cleaned)?;
    print(&totals)?;
    totals.verdict()
}

/// Until the last round, something stale, or a signal.
async fn watch(
    rounds: &mut Rounds,
    totals: &mut Totals,
    signals: &mut Signals,
    interval: Duration,
    count: Option<u64>,
) -> Result<(), Failure> {
    loop {
        let mut round = Round::new(totals.rounds() + 1);
        let ended = tokio::select! {
            () = rounds.round(&mut round) => false,
            () = signals.first() => true,
        };
        if ended {
            totals.part(&round);
            return print_findings(&round);
        }
        totals.round(&round);
        print_findings(&round)?;
        print(&round)?;
        if round.is_stale() || count.is_some_and(|count| totals.rounds() >= count) {
            return Ok(());
        }
        let pause = if round.succeeded() { interval } else { interval.max(BREATH) };
        tokio::select! {
            () = sleep(pause) => {}
            () = signals.first() => return Ok(()),
        }
    }
}

/// Deletes what is left. A second signal cuts it off.
async fn clean_up(rounds: &mut Rounds, totals: &mut Totals, signals: &mut Signals) -> Result<(), Failure> {
    let mut last = Round::new(totals.rounds());
    tokio::select! {
        // What is left after that is said below.
        _ = timeout(CLEAN_UP, rounds.settle(&mut last)) => {}
        () = signals.first() => {}
    }
    totals.part(&last);
    let left = rounds.left();
    if !left.is_empty() {
        // If nobody reads standard error any more, nobody can be told.
        writeln!(io::stderr(), "gatekey: {left}").ok();
    }
    print_findings(&last)
}

fn print_findings(round: &Round) -> Result<(), Failure> {
    round.findings.iter().try_for_each(print)
}

fn print(line: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(line).map_err(|cause| Failure::run("a line of JSON", cause))?;
    say(&line)
}
