//! Why a store could not be opened or migrated, in words for an operator.

use std::io;
use std::path::PathBuf;

/// Why a SQLite store could not be opened, checked or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file does not exist or can't be entered.
    #[error("the folder of {path} can't be opened")]
    Folder {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path names no file, such as `/` or `..`.
    #[error("{path} is not the name of a file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another process has the store open.
    #[error("{path} is in use by another process: {holder}")]
    InUse {
        /// The database file.
        path: PathBuf,
        /// Who it is, as the lock file says.
        holder: String,
    },
    /// The lock file can't be made or locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database file can't be made, or can't be written to.
    #[error("cannot write to {path}")]
    File {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a SQLite database.
    #[error("{path} is not a SQLite database")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// SQLite can't open the file.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A newer Gatekey has migrated the database.
    #[error(
        "the schema of {path} is at version {applied}, newer than this program's {known}: run a newer gatekey"
    )]
    SchemaNewer {
        /// The file.
        path: PathBuf,
        /// The newest migration in the database.
        applied: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// A migration in the database is not the one that this program knows.
    #[error("migration {version} in {path} is not the one that this program knows")]
    SchemaChanged {
        /// The file.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// A migration failed; nothing of it was kept.
    #[error("cannot migrate {path}")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}
