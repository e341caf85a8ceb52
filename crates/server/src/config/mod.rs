//! What the server is told to be: from flags, environment and file to a configuration that holds.

mod check;
mod gateways;
mod issuers;
mod otlp;
mod people;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gatekey_api::IssuerSettings;
use gatekey_core::Lease;
use gatekey_model::TokenPrefix;
use ipnet::IpNet;

use crate::traces::Endpoint;

pub(crate) use settings::{LogFormat, Settings};

/// The data folder unless another is given.
pub(crate) const DATA_DIR: &str = "gatekey-data";

/// All that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\ngatekey: "))]
pub(crate) struct ConfigError(Vec<String>);

impl ConfigError {
    pub(crate) fn one(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }

    pub(crate) fn all(problems: Vec<String>) -> Self {
        Self(problems)
    }
}

/// Settings that were checked and fit together.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) metrics_addr: Option<SocketAddr>,
    /// Where traces go, if anywhere.
    pub(crate) traces: Option<Endpoint>,
    pub(crate) data_dir: PathBuf,
    pub(crate) store: StoreConfig,
    pub(crate) prefix: TokenPrefix,
    pub(crate) tokens_per_tenant: u32,
    pub(crate) lease: Lease,
    pub(crate) drain_timeout: Duration,
    pub(crate) mode: Mode,
    pub(crate) http: gatekey_api::http::Settings,
    /// From where gateways ask without credentials.
    pub(crate) gateway_peers: Vec<IpNet>,
    pub(crate) log_format: LogFormat,
    pub(crate) log: String,
}

/// Whom the server trusts.
#[derive(Debug)]
pub(crate) enum Mode {
    /// JWTs of its own making; loopback only.
    Development,
    /// JWTs of these issuers.
    Production(Vec<IssuerSettings>),
}

/// Where tokens are remembered.
#[derive(Debug)]
pub(crate) enum StoreConfig {
    /// In this file.
    Sqlite(PathBuf),
    /// In the database behind this URL.
    Postgres(DatabaseUrl, u32),
}

/// A database URL, which may hold a password: `Debug` shows nothing of it.
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl([redacted])")
    }
}

impl Config {
    pub(crate) fn is_development(&self) -> bool {
        matches!(self.mode, Mode::Development)
    }
}
