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
    /// The file has more names than one, each with a lock and a write-ahead log of its own: two
    /// processes could have it at once, and lose what they were given.
    #[error(
        "{path} is one of {links} names (hard links) of one file, and its lock keeps nobody out who comes by \
         another: stop whatever uses them and remove all but one; if one has a -wal file beside it, keep that"
    )]
    HardLinks {
        /// The database file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// While the file was opened, its name came to mean another one, more than once.
    #[error("{path} keeps being moved or replaced by somebody else")]
    Replaced {
        /// The database file.
        path: PathBuf,
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
    /// Migrations are missing, and whoever only reads can't make up for it.
    #[error("the schema of {path} is behind: run `gatekey migrate`, or start the server")]
    SchemaBehind {
        /// The file.
        path: PathBuf,
    },
    /// A newer Gatekey has migrated the database, in a way that this one can't live with.
    #[error(
        "the schema of {path} is at version {applied}, newer than this program's {known}, and no longer for it: run a \
         newer gatekey, or restore the copy from before the migration"
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
