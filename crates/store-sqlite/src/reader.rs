//! Reads the file of a store beside the process that has it. That is safe: by its write-ahead log SQLite gives every reader one
//! moment of the file, and keeps no writer waiting. Writing stays with who holds the lock.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use gatekey_core::RevokedToken;
use gatekey_lease::{Position, Seq};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqlitePool, sqlite::SqlitePoolOptions};

use crate::fault::{Fault, is_not_a_database, store_error};
use crate::schema::{self, SchemaState};
use crate::{OpenError, operator, read};

/// A connection that only reads, to a store that another process may have. Nothing bounds the time that it takes.
pub struct SqliteReader {
    pub(crate) path: PathBuf,
    pub(crate) pool: SqlitePool,
}

impl SqliteReader {
    /// Opens a file that exists, with the schema that this program knows.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let reader = Self::open_any(path).await?;
        match reader.schema().await? {
            SchemaState::Current | SchemaState::NewerCompatible { .. } => Ok(reader),
            SchemaState::Behind => Err(OpenError::SchemaBehind { path: reader.path }),
            SchemaState::Newer { applied, known } => {
                Err(OpenError::SchemaNewer { path: reader.path, applied, known })
            }
            SchemaState::Changed { version } => Err(OpenError::SchemaChanged { path: reader.path, version }),
        }
    }

    /// Opens a file that exists, with a schema of Gatekey's: one that is behind too, or newer than this program's.
    pub async fn open_ours(path: &Path) -> Result<Self, OpenError> {
        let reader = Self::open_any(path).await?;
        // All of them have it.
        let head = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'head')";
        let ours: Result<bool, _> = sqlx::query_scalar(head).fetch_one(&reader.pool).await;
        if ours.map_err(|source| reader.unreadable(source))? {
            Ok(reader)
        } else {
            Err(OpenError::SchemaBehind { path: reader.path })
        }
    }

    /// Opens a file that exists, whatever its schema.
    pub async fn open_any(path: &Path) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let connect = SqliteConnectOptions::new().filename(&path).read_only(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(connect).await;
        match pool {
            Ok(pool) => Ok(Self { path, pool }),
            Err(source) if is_not_a_database(&source) => Err(OpenError::NotADatabase { path }),
            Err(source) => Err(OpenError::Open { path, source }),
        }
    }

    /// How the file's schema compares with the one that this program knows.
    pub async fn schema(&self) -> Result<SchemaState, OpenError> {
        let mut connection = self.pool.acquire().await.map_err(|source| self.unreadable(source))?;
        schema::state(&mut connection).await.map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: sqlx::Error) -> OpenError {
        let path = self.path.clone();
        if is_not_a_database(&source) {
            OpenError::NotADatabase { path }
        } else {
            OpenError::Open { path, source }
        }
    }

    /// Where the log stands.
    pub async fn head(&self) -> Result<Position, gatekey_core::StoreError> {
        let read = async {
            let mut connection = self.pool.acquire().await?;
            read::head(&mut connection).await
        };
        read.boxed().await.map_err(store_error)
    }

    /// All revocations after this number, in the order of the log, and where the log stands: of one moment.
    pub async fn revoked_after(
        &self,
        seq: Seq,
    ) -> Result<(Position, Vec<RevokedToken>), gatekey_core::StoreError> {
        let read = async {
            let mut connection = self.pool.acquire().await?;
            let mut transaction = connection.begin().await?;
            let head = read::head(&mut transaction).await?;
            let mut revoked = operator::revoked(&mut transaction, seq, None, u32::MAX).await?;
            revoked.sort_by_key(|revoked| revoked.position.seq);
            Ok::<_, Fault>((head, revoked))
        };
        read.boxed().await.map_err(store_error)
    }

    /// Closes it.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
