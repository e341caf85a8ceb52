//! The schema: whether the database's is the one that this program knows, and how it becomes so.

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::OpenError;
use crate::fault::Fault;
use crate::statements::Statements;
use crate::way::Way;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// How the database's schema compares with the one that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// They are the same.
    Current,
    /// Migrations are missing: all of them, or the newest.
    Behind,
    /// It has migrations that this program doesn't know yet.
    Newer {
        /// The newest migration in the database.
        applied: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// A migration is not the one that this program knows.
    Changed {
        /// The migration.
        version: i64,
    },
}

impl SchemaState {
    /// Passes if the schema is current.
    pub(crate) fn require_current(self) -> Result<(), OpenError> {
        match self {
            Self::Current => Ok(()),
            Self::Behind => Err(OpenError::SchemaBehind),
            Self::Newer { .. } | Self::Changed { .. } => self.require_known(),
        }
    }

    /// Passes if migrations lead from here to what this program knows.
    fn require_known(self) -> Result<(), OpenError> {
        match self {
            Self::Current | Self::Behind => Ok(()),
            Self::Newer { applied, known } => Err(OpenError::SchemaNewer { applied, known }),
            Self::Changed { version } => Err(OpenError::SchemaChanged { version }),
        }
    }
}

pub(crate) async fn state(connection: &mut Statements<'_>) -> Result<SchemaState, Fault> {
    let any: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !any {
        return Ok(SchemaState::Behind);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(connection)
            .await?;
    Ok(compare(&applied, &MIGRATIONS))
}

/// Compares the migrations that were applied, oldest first, with those that are known.
fn compare(applied: &[(i64, Vec<u8>)], known: &Migrator) -> SchemaState {
    let newest = known.iter().map(|migration| migration.version).max().unwrap_or(0);
    if let Some((version, _)) = applied.last().filter(|(version, _)| *version > newest) {
        return SchemaState::Newer { applied: *version, known: newest };
    }
    for (version, checksum) in applied {
        let same = |migration: &sqlx::migrate::Migration| {
            migration.version == *version && *migration.checksum == **checksum
        };
        if !known.iter().any(same) {
            return SchemaState::Changed { version: *version };
        }
    }
    if applied.len() == known.iter().count() { SchemaState::Current } else { SchemaState::Behind }
}

/// Brings the schema up to date. sqlx takes an advisory lock for it, so that two at once do it one
/// after the other. The lock is the session's, and is left behind if a migration fails: so the
/// connection is this one's own, and ends with it.
pub(crate) async fn migrate(mut connection: PgConnection) -> Result<(), OpenError> {
    // No limit for a statement, as a migration may take long. But one that waits for a table's lock
    // stops everybody who comes after it, so it gives up.
    sqlx::query(
        "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '60000', false)",
    )
    .execute(&mut connection)
    .await
    .map_err(OpenError::Schema)?;
    let state = state(&mut Statements::on(&mut connection, &Way::Direct)).await.map_err(read_error)?;
    state.require_known()?;
    // Not `run`: the compiler can't tell of its future that it may be sent to another thread.
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(OpenError::Migrate)?;
    connection.close().await.map_err(OpenError::Schema)
}

pub(crate) fn read_error(fault: Fault) -> OpenError {
    match fault {
        Fault::Sql(error) | Fault::Connect(error) => OpenError::Schema(error),
        other => OpenError::Schema(sqlx::Error::Io(std::io::Error::other(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<(i64, Vec<u8>)> {
        MIGRATIONS.iter().map(|migration| (migration.version, migration.checksum.to_vec())).collect()
    }

    #[test]
    fn tells_the_states_apart() {
        let newest = known().last().expect("a migration").0;
        assert_eq!(compare(&known(), &MIGRATIONS), SchemaState::Current);
        assert_eq!(compare(&[], &MIGRATIONS), SchemaState::Behind);
        let mut newer = known();
        newer.push((newest + 1, vec![0]));
        assert_eq!(compare(&newer, &MIGRATIONS), SchemaState::Newer { applied: newest + 1, known: newest });
        let mut changed = known();
        changed[0].1[0] ^= 1;
        assert_eq!(compare(&changed, &MIGRATIONS), SchemaState::Changed { version: changed[0].0 });
    }
}
