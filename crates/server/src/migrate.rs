//! `gatekey migrate`: brings the database's schema up to date.

use crate::config::{Settings, StoreConfig};
use crate::{Failure, say, store};

pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let (config, _) = settings.check_store()?;
    let place = match &config {
        StoreConfig::Sqlite(path) => path.display().to_string(),
        StoreConfig::Postgres(..) => "the Postgres database".to_owned(),
    };
    store::migrate(&config).await?;
    say(&format!("the schema of {place} is up to date"))
}
