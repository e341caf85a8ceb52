//! The program `gatekey`: reads what it is asked to do, does it, and says how it went by its exit code
//! (0: well, 1: it failed, 2: it was asked for something that can't be).

mod canary;
mod certificates;
mod cli;
mod config;
mod descriptors;
mod dev_key;
mod dev_token;
mod doctor;
mod ending;
mod health;
mod health_port;
mod log_lines;
mod metrics;
mod migrate;
mod operator;
mod serve;
mod servers;
mod signals;
mod starting;
mod store;
mod supervisor;
mod synchronous;
mod telemetry;
mod traces;
mod trust;
mod welcome;

use std::io::{self, Write};
use std::process::ExitCode;

use cli::{Cli, Command, RevocationsCommand};

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// Something else went wrong.
    #[error("{0}")]
    Run(String),
    /// Nothing went wrong: the answer to what was asked is no, by an exit code of its own.
    #[error("{0}")]
    Answer(String, u8),
}

impl Failure {
    fn run(context: &str, cause: impl std::fmt::Display) -> Self {
        Self::Run(format!("{context}: {cause}"))
    }

    /// Like [`Self::run`], with all that is behind the error.
    fn caused(context: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{context}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            let said = cause.to_string();
            // Some errors say their cause themselves.
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            source = cause.source();
        }
        Self::Run(text)
    }
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return report(&Failure::run("the runtime can't start", cause)),
    };
    let Cli { command, settings } = Cli::read();
    let outcome = runtime.block_on(async {
        match command.unwrap_or_else(|| Command::Serve(Box::new(settings))) {
            Command::Serve(settings) => serve::run(*settings).await,
            Command::Migrate(request) => migrate::run(request.store.into(), request.check).await,
            Command::DevToken(request) => dev_token::run(&request),
            Command::Health(request) => health::run(&request).await,
            Command::Canary(request) => canary::run(&request).await,
            Command::Revoke(request) => operator::revoke(*request).await,
            Command::Revocations(request) => match request.command {
                RevocationsCommand::Export(request) => operator::export(request).await,
                RevocationsCommand::Replay(request) => operator::replay(request).await,
            },
            Command::Restored(request) => operator::restored(request).await,
            Command::Backup(request) => operator::backup(request).await,
            Command::Doctor(request) => doctor::run(*request).await,
        }
    });
    // What is still running had its time to drain.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// Prints a line on standard output, as the answer to a command.
fn say(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|cause| Failure::run("standard output", cause))
}

fn report(failure: &Failure) -> ExitCode {
    // If nobody reads standard error any more, the exit code has to do.
    writeln!(io::stderr(), "gatekey: {failure}").ok();
    match failure {
        Failure::Config(_) => ExitCode::from(2),
        Failure::Run(_) => ExitCode::FAILURE,
        Failure::Answer(_, code) => ExitCode::from(*code),
    }
}
