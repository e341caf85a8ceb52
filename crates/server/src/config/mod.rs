//! What the server is told to be: from flags, environment and file to a configuration that holds.

mod check;
mod database;
mod gateways;
mod issuers;
mod life;
mod merge;
mod otlp;
mod people;
mod settings;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use gatekey_api::IssuerSettings;
use gatekey_core::Lease;
use gatekey_model::TokenPrefix;
use ipnet::IpNet;

use crate::traces::Endpoint;

pub(crate) use check::GRPC_ADDR;
pub(crate) use life::Life;
pub(crate) use settings::{LogFormat, PoolerMode, Settings};
pub(crate) use tls::TlsConfig;

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

    /// Each problem, with its flag.
    pub(crate) fn problems(&self) -> &[String] {
        &self.0
    }
}

/// Settings that were checked and fit together.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) metrics_addr: Option<SocketAddr>,
    pub(crate) health_addr: Option<SocketAddr>,
    /// gRPC and HTTP are in plaintext without.
    pub(crate) tls: Option<TlsConfig>,
    /// Where traces go, if anywhere.
    pub(crate) traces: Option<Endpoint>,
    pub(crate) data_dir: PathBuf,
    pub(crate) store: StoreConfig,
    pub(crate) prefix: TokenPrefix,
    pub(crate) tokens_per_tenant: u32,
    pub(crate) lease: Lease,
    pub(crate) life: Life,
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
#[derive(Clone, Debug)]
pub(crate) enum StoreConfig {
    /// In this file.
    Sqlite(PathBuf),
    /// In this database.
    Postgres(PostgresConfig),
}

/// How Postgres is reached.
#[derive(Clone, Debug)]
pub(crate) struct PostgresConfig {
    pub(crate) url: DatabaseUrl,
    /// For verifications.
    pub(crate) connections: u32,
    pub(crate) pooler: PoolerMode,
    /// Past the pooler.
    pub(crate) direct_url: Option<DatabaseUrl>,
}

/// A database URL, which may hold a password: `Debug` shows nothing of it.
#[derive(Clone)]
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
