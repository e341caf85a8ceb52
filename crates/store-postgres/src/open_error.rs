//! Why a store could not be opened or migrated, in words for an operator. Never shows a password.

use std::io::ErrorKind;

/// Why a Postgres store could not be opened, checked or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none that Postgres knows. Its text is left out, as it may hold a password.
    #[error("not a Postgres URL; expected postgres://user:password@host:port/database: {0}")]
    Url(String),
    /// The server can't be reached, or refuses the connection.
    #[error("cannot connect to Postgres at {server}")]
    Connect {
        /// Host, port and database.
        server: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The server does not answer in time.
    #[error("Postgres at {server} does not answer in time")]
    Timeout {
        /// Host, port and database.
        server: String,
    },
    /// The server is too old.
    #[error("Postgres {found} at {server} is too old: version 15 or newer is needed")]
    ServerTooOld {
        /// Host, port and database.
        server: String,
        /// The server's own words.
        found: String,
    },
    /// The server is a standby: it answers, but late, and it can't be written to.
    #[error("Postgres at {server} is a read-only standby: name the primary")]
    Standby {
        /// Host, port and database.
        server: String,
    },
    /// The database can't hold every character.
    #[error("the database at {server} is encoded in {encoding}: it has to be UTF8")]
    Encoding {
        /// Host, port and database.
        server: String,
        /// The database's encoding.
        encoding: String,
    },
    /// A migration was asked for by way of a pooler in transaction mode.
    #[error(
        "a migration can't go by way of a pooler in transaction mode: it holds a lock of its session; give a direct \
         URL to the database (--database-direct-url)"
    )]
    NeedsDirect,
    /// The direct URL leads elsewhere.
    #[error("{direct} is another server or database than the pooler at {pooled} leads to")]
    Elsewhere {
        /// Host, port and database of the direct URL.
        direct: String,
        /// Host, port and database of the pooler.
        pooled: String,
    },
    /// Migrations are missing.
    #[error("the database schema is behind: run `gatekey migrate`")]
    SchemaBehind,
    /// A newer Gatekey has migrated the database, in a way that this one can't live with.
    #[error(
        "the database schema is at version {applied}, newer than this program's {known}, and no longer for it: run a \
         newer gatekey, or restore the backup from before the migration"
    )]
    SchemaNewer {
        /// The newest migration in the database.
        applied: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// A migration in the database is not the one that this program knows.
    #[error("migration {version} in the database is not the one that this program knows")]
    SchemaChanged {
        /// The migration.
        version: i64,
    },
    /// The schema could not be read.
    #[error("cannot read the state of the database schema")]
    Schema(#[source] sqlx::Error),
    /// A migration failed; nothing of it was kept.
    #[error("cannot migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

impl OpenError {
    /// Whether it may pass though nobody changes a setting: the server starts, the name is known soon, a standby is
    /// promoted, a migration is under way. A wrong password or a missing right has to be mended by somebody, who then
    /// starts the program again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Schema(source) => passes(source),
            Self::Timeout { .. } | Self::Standby { .. } | Self::SchemaBehind => true,
            Self::Url(_)
            | Self::ServerTooOld { .. }
            | Self::Encoding { .. }
            | Self::NeedsDirect
            | Self::Elsewhere { .. }
            | Self::SchemaNewer { .. }
            | Self::SchemaChanged { .. }
            | Self::Migrate(_) => false,
        }
    }
}

fn passes(source: &sqlx::Error) -> bool {
    match source {
        // As Postgres says it: PostgreSQL documentation, appendix A. It starts, ends or recovers (57), has no connection
        // to spare (53), or something is wrong on the way (08).
        sqlx::Error::Database(told) => told
            .code()
            .is_some_and(|code| ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class))),
        // A certificate that is not there may not be read: that is a setting.
        sqlx::Error::Io(cause) => !matches!(
            cause.kind(),
            ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::InvalidData
        ),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(source: sqlx::Error) -> OpenError {
        OpenError::Connect { server: "db:5432/gatekey".to_owned(), source }
    }

    #[test]
    fn what_needs_nobody_may_pass() {
        for kind in
            [ErrorKind::ConnectionRefused, ErrorKind::NotFound, ErrorKind::UnexpectedEof, ErrorKind::Other]
        {
            assert!(connect(sqlx::Error::Io(kind.into())).may_pass(), "{kind}");
        }
        assert!(OpenError::SchemaBehind.may_pass());
        assert!(OpenError::Standby { server: String::new() }.may_pass());
        assert!(!OpenError::SchemaNewer { applied: 2, known: 1 }.may_pass());
        assert!(!OpenError::SchemaChanged { version: 1 }.may_pass());
        assert!(!connect(sqlx::Error::Tls("no certificate fits".into())).may_pass());
        assert!(!connect(sqlx::Error::Io(ErrorKind::PermissionDenied.into())).may_pass());
    }
}
