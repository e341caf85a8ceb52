//! `gatekey migrate`: brings the database's schema up to date, or with `--check` says whether it is, and prints which.

use crate::config::{Settings, StoreConfig};
use crate::store::{Schema, schema};
use crate::{Failure, say};

/// The exit code of a check that finds migrations missing.
const MISSING: u8 = 3;

pub(crate) async fn run(settings: Settings, check: bool) -> Result<(), Failure> {
    let (config, _) = settings.check_store()?;
    let place = match &config {
        StoreConfig::Sqlite(path) => path.display().to_string(),
        StoreConfig::Postgres(..) => "the Postgres database".to_owned(),
    };
    let found = if check { schema::look(&config).await? } else { schema::migrate(&config).await? };
    match (found, check) {
        (Schema::Current, _) => say(&format!("the schema of {place} is up to date: nothing to do")),
        (Schema::Newer(versions), _) => say(&format!("the schema of {place} is {versions}: nothing to do")),
        (Schema::Behind, false) => say(&format!("the schema of {place} was behind, and is up to date now")),
        (Schema::Behind, true) => {
            let text = format!("the schema of {place} is behind: run `gatekey migrate`");
            Err(Failure::Answer(text, MISSING))
        }
    }
}
