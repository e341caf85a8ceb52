//! Opens the configured store.

mod late;
pub(crate) mod schema;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatekey_core::{OperatorStore, Store};
use gatekey_store_postgres::{Connections, OpenError, Pooler, PostgresOptions, PostgresStore, Replication};
use gatekey_store_sqlite::{SqliteOptions, SqliteStore};

use tracing::{info, warn};

use crate::Failure;
use crate::config::{DatabaseUrl, PoolerMode, PostgresConfig, StoreConfig};
use crate::dev_key::create_private_dir;

pub(crate) use late::LateStore;
pub(crate) use schema::Schema;

/// How long an operation on the store may take for a call that somebody waits for.
pub(crate) const CALL: Duration = Duration::from_secs(5);
/// How long for a command of an operator, which may have to look at every token that there is.
pub(crate) const COMMAND: Duration = Duration::from_mins(1);

/// An open store, to be closed at the end. Clones share it.
#[derive(Clone)]
pub(crate) enum OpenStore {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl OpenStore {
    pub(crate) fn shared(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }

    /// For commands of operators.
    pub(crate) fn operated(&self) -> Arc<dyn OperatorStore> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }

    /// Says how durable what is acknowledged is, where that is not this process's own affair.
    pub(crate) async fn report(&self) {
        let Self::Postgres(store) = self else { return };
        if store.shares_pooler() {
            warn!(
                "renewals of leases share the pooler with all other calls, and nobody hears of revocations but by \
                 a poll every 250 ms: give --database-direct-url"
            );
        }
        match store.replication().await {
            Ok(replication @ Replication::Unattached { .. }) => warn!(%replication, "replication"),
            Ok(replication) => info!(%replication, "replication"),
            Err(cause) => warn!(?cause, "the state of replication can't be read"),
        }
    }

    /// The connections by their pool, where there are some.
    pub(crate) fn connections(&self) -> Option<[Connections; 2]> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(store) => Some(store.connections()),
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// Why a store is not open.
pub(crate) struct NotOpen {
    pub(crate) failure: Failure,
    /// It may be another time, with nobody doing anything here.
    pub(crate) may_pass: bool,
}

/// Nobody but this process makes a file ready.
impl From<Failure> for NotOpen {
    fn from(failure: Failure) -> Self {
        Self { failure, may_pass: false }
    }
}

impl From<OpenError> for NotOpen {
    fn from(cause: OpenError) -> Self {
        Self { may_pass: cause.may_pass(), failure: Failure::caused("the Postgres store", &cause) }
    }
}

/// Opens the store, for [`CALL`]s or a [`COMMAND`]. SQLite is migrated on the way; Postgres must have been.
pub(crate) async fn open(config: &StoreConfig, operation_timeout: Duration) -> Result<OpenStore, NotOpen> {
    match config {
        StoreConfig::Sqlite(path) => {
            Ok(OpenStore::Sqlite(Arc::new(open_sqlite(path, operation_timeout).await?)))
        }
        StoreConfig::Postgres(postgres) => {
            let store = connect_postgres(postgres, postgres.connections, operation_timeout).await?;
            match store.ensure_schema().await {
                Ok(schema) => {
                    schema::report(schema);
                    Ok(OpenStore::Postgres(Arc::new(store)))
                }
                Err(cause) => {
                    // Whoever waits for the schema need not wait for that.
                    tokio::spawn(async move { store.close().await });
                    Err(cause.into())
                }
            }
        }
    }
}

async fn open_sqlite(path: &Path, operation_timeout: Duration) -> Result<SqliteStore, Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_private_dir(folder)
            .map_err(|cause| Failure::run(&format!("the folder {}", folder.display()), cause))?;
    }
    let options = SqliteOptions { operation_timeout, ..SqliteOptions::new(path) };
    SqliteStore::open(options).await.map_err(|cause| Failure::caused("the SQLite store", &cause))
}

pub(crate) async fn connect_postgres(
    config: &PostgresConfig,
    connections: u32,
    operation_timeout: Duration,
) -> Result<PostgresStore, OpenError> {
    let pooler = match config.pooler {
        PoolerMode::None => Pooler::None,
        PoolerMode::Transaction => Pooler::Transaction,
    };
    let options = PostgresOptions {
        max_connections: connections,
        pooler,
        operation_timeout,
        direct_url: config.direct_url.as_ref().map(|url| DatabaseUrl::expose(url).to_owned()),
        ..PostgresOptions::new(config.url.expose())
    };
    PostgresStore::connect(options).await
}
