//! `gatekey doctor`: what a server with these settings would find, told in words before it is started or when it does not do
//! as it should. Changes nothing. Each file beside this one looks at one thing.

mod files;
mod finding;
mod issuers;
mod machine;
mod ports;
mod postgres;
mod replicas;
mod sqlite;

use crate::Failure;
use crate::cli::Doctor;
use crate::config::{Config, Mode, Settings, StoreConfig};
use finding::Findings;

pub(crate) async fn run(request: Doctor) -> Result<(), Failure> {
    let mut findings = Findings::new(request.json);
    let settings = request.settings;
    let config = configuration(settings.clone(), &mut findings)?;
    files::look(&settings, &mut findings)?;
    // Something wrong elsewhere in the settings is no reason not to look at the store.
    let store = match &config {
        Some(config) => Some(config.store.clone()),
        None => settings.check_store().ok().map(|(store, _)| store),
    };
    match &store {
        Some(StoreConfig::Postgres(postgres)) => {
            postgres::look(postgres, &mut findings).await?;
        }
        Some(StoreConfig::Sqlite(file)) => sqlite::look(file, &mut findings).await?,
        None => findings.warn("store", "not looked at: its settings are wrong")?,
    }
    if let Some(config) = &config {
        if let Mode::Production(issuers) = &config.mode {
            issuers::look(issuers, &mut findings).await?;
        }
        ports::look(config, &mut findings).await?;
    }
    machine::look(&mut findings)?;
    findings.end()
}

/// All that is wrong with the settings, each as a line of its own.
fn configuration(settings: Settings, findings: &mut Findings) -> Result<Option<Config>, Failure> {
    match settings.check() {
        Ok(config) => {
            let mode = match &config.mode {
                Mode::Development => "development mode".to_owned(),
                Mode::Production(issuers) => format!("callers of {} issuers", issuers.len()),
            };
            findings.ok("configuration", &format!("the settings hold and fit together: {mode}"))?;
            Ok(Some(config))
        }
        Err(wrong) => {
            for problem in wrong.problems() {
                findings.fail("configuration", problem)?;
            }
            Ok(None)
        }
    }
}
