//! How a store's schema is, whichever store it is: asked, and brought up to date.

use std::fmt;

use gatekey_store_postgres::{OpenError, SchemaState as Postgres};
use gatekey_store_sqlite::{SchemaState as Sqlite, SqliteStore};
use tracing::warn;

use super::{CALL, connect_postgres, open_sqlite};
use crate::Failure;
use crate::config::StoreConfig;
use crate::operator::progress;

/// How a schema that this program can use, or can bring so far, compares with the one that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    Current,
    /// Migrations are missing.
    Behind,
    /// Newer, and it says that this program may use it.
    Newer(Versions),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    applied: i64,
    known: i64,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, known } = self;
        write!(f, "at version {applied}, newer than this program's {known}, which may use it")
    }
}

/// A server starts on a schema that is newer: somebody is in the middle of an upgrade, or went back.
pub(super) fn report(schema: Postgres) {
    if let Postgres::NewerCompatible { applied, known } = schema {
        warn!(schema = %Versions { applied, known }, "the database's schema is newer");
    }
}

/// As it is. Changes nothing.
pub(crate) async fn look(config: &StoreConfig) -> Result<Schema, Failure> {
    match config {
        StoreConfig::Sqlite(path) => {
            let told = |cause| Failure::caused("the SQLite store", &cause);
            of_sqlite(SqliteStore::schema_of(path).await.map_err(told)?, path)
        }
        StoreConfig::Postgres(postgres) => {
            let store =
                connect_postgres(postgres, 1, CALL).await.map_err(|cause| of_postgres_error(&cause))?;
            let schema = store.schema().await.map_err(|cause| of_postgres_error(&cause));
            store.close().await;
            of_postgres(schema?)
        }
    }
}

/// Brings it up to date. How it was before.
pub(crate) async fn migrate(config: &StoreConfig) -> Result<Schema, Failure> {
    match config {
        StoreConfig::Sqlite(path) => {
            let store = open_sqlite(path, CALL).await?;
            store.close().await;
            of_sqlite(store.schema_before(), path)
        }
        StoreConfig::Postgres(postgres) => {
            let store =
                connect_postgres(postgres, 1, CALL).await.map_err(|cause| of_postgres_error(&cause))?;
            let waiting = |holder: &str| {
                progress(&format!(
                    "another migration of this database is under way ({holder}): waiting for its end"
                ));
            };
            let before = store.migrate_and_tell(waiting).await.map_err(|cause| of_postgres_error(&cause));
            store.close().await;
            of_postgres(before?)
        }
    }
}

fn of_postgres_error(cause: &OpenError) -> Failure {
    Failure::caused("the Postgres store", cause)
}

fn of_postgres(schema: Postgres) -> Result<Schema, Failure> {
    match schema {
        Postgres::Current => Ok(Schema::Current),
        Postgres::Behind => Ok(Schema::Behind),
        Postgres::NewerCompatible { applied, known } => Ok(Schema::Newer(Versions { applied, known })),
        Postgres::Newer { applied, known } => {
            Err(of_postgres_error(&OpenError::SchemaNewer { applied, known }))
        }
        Postgres::Changed { version } => Err(of_postgres_error(&OpenError::SchemaChanged { version })),
    }
}

fn of_sqlite(schema: Sqlite, path: &std::path::Path) -> Result<Schema, Failure> {
    use gatekey_store_sqlite::OpenError;

    let path = path.to_owned();
    let refused = match schema {
        Sqlite::Current => return Ok(Schema::Current),
        Sqlite::Behind => return Ok(Schema::Behind),
        Sqlite::NewerCompatible { applied, known } => return Ok(Schema::Newer(Versions { applied, known })),
        Sqlite::Newer { applied, known } => OpenError::SchemaNewer { path, applied, known },
        Sqlite::Changed { version } => OpenError::SchemaChanged { path, version },
    };
    Err(Failure::caused("the SQLite store", &refused))
}
