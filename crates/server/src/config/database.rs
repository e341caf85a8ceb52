//! The settings of the store: which one, where it is, and by which way.

use std::path::{Path, PathBuf};

use super::settings::{PoolerMode, Settings};
use super::{DatabaseUrl, PostgresConfig, StoreConfig};

/// Far more than a Postgres takes.
const MAX_CONNECTIONS: u32 = 1_000;
const SQLITE_FILE: &str = "gatekey.db";

/// The store, or `None` after a problem.
pub(super) fn check(settings: &Settings, data_dir: &Path, problems: &mut Vec<String>) -> Option<StoreConfig> {
    let connections = settings.database_connections.unwrap_or(16);
    if !(1..=MAX_CONNECTIONS).contains(&connections) {
        problems.push(format!("--database-connections: must be 1 to {MAX_CONNECTIONS}"));
    }
    let direct_url = direct_url(settings, problems);
    let pooler = settings.database_pooler.unwrap_or(PoolerMode::None);
    if pooler == PoolerMode::None && direct_url.is_some() {
        problems.push("--database-direct-url: belongs to --database-pooler transaction".to_owned());
    }
    let url = given(
        "--database-url",
        settings.database_url.as_ref(),
        settings.database_url_file.as_ref(),
        problems,
    )?;
    if let Some(url) = url.as_ref().filter(|url| is_postgres(url)) {
        let url = DatabaseUrl(url.clone());
        return Some(StoreConfig::Postgres(PostgresConfig { url, connections, pooler, direct_url }));
    }
    if pooler != PoolerMode::None {
        problems.push("--database-pooler: belongs to Postgres; give --database-url postgres://…".to_owned());
    }
    let Some(url) = url else { return Some(StoreConfig::Sqlite(data_dir.join(SQLITE_FILE))) };
    let file = url.strip_prefix("sqlite:").and_then(|rest| match rest.strip_prefix("//") {
        // With two slashes a host's name comes next: there is none, so the path must begin at once.
        Some(path) => path.starts_with('/').then_some(path),
        None => Some(rest),
    });
    match file {
        Some(file) if !file.is_empty() && !file.contains('?') && file != ":memory:" => {
            Some(StoreConfig::Sqlite(PathBuf::from(file)))
        }
        // The URL itself is not shown: it may hold a password.
        _ => {
            problems.push(
                "--database-url: must be sqlite:FILE, sqlite:///FILE (without parameters), or \
                 postgres://USER@HOST/DATABASE"
                    .to_owned(),
            );
            None
        }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn direct_url(settings: &Settings, problems: &mut Vec<String>) -> Option<DatabaseUrl> {
    let (url, file) = (settings.database_direct_url.as_ref(), settings.database_direct_url_file.as_ref());
    let url = given("--database-direct-url", url, file, problems)??;
    if !is_postgres(&url) {
        problems.push("--database-direct-url: must be postgres://USER@HOST/DATABASE".to_owned());
    }
    Some(DatabaseUrl(url))
}

/// A URL as it was given, itself or in a file; `Some(None)` if it was not, `None` if it can't be had.
#[expect(clippy::option_option, reason = "private, and the two absences mean different things")]
fn given(
    flag: &str,
    url: Option<&String>,
    file: Option<&PathBuf>,
    problems: &mut Vec<String>,
) -> Option<Option<String>> {
    match (url, file) {
        (Some(_), Some(_)) => {
            problems.push(format!("{flag}-file: give it or {flag}, not both"));
            None
        }
        (Some(url), None) => Some(Some(url.trim().to_owned())),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Some(Some(text.trim().to_owned())),
            Err(cause) => {
                problems.push(format!("{flag}-file: {}: {cause}", path.display()));
                None
            }
        },
        (None, None) => Some(None),
    }
}
