//! The schema: whether the file's is the one that this program knows, and how it becomes so.

use std::path::Path;

use futures_util::FutureExt;
use sqlx::SqlitePool;
use sqlx::migrate::Migrator;

use crate::OpenError;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// How the file's schema compares with the one that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// They are the same.
    Current,
    /// Migrations are missing: all of them, or the newest.
    Behind,
    /// It has migrations that this program doesn't know yet.
    Newer {
        /// The newest migration in the file.
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

pub(crate) async fn state(pool: &SqlitePool) -> Result<SchemaState, sqlx::Error> {
    let any: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations')",
    )
    .fetch_one(pool)
    .await?;
    if !any {
        return Ok(SchemaState::Behind);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(pool)
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

/// Brings the schema up to date, or refuses one that is newer or changed.
pub(crate) async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let path = || path.to_owned();
    match state(writer).await.map_err(|source| OpenError::Open { path: path(), source })? {
        SchemaState::Current => Ok(()),
        SchemaState::Behind => {
            // Boxed: else the compiler can't tell that the future may be sent to another thread.
            MIGRATIONS.run(writer).boxed().await.map_err(|source| OpenError::Migrate { path: path(), source })
        }
        SchemaState::Newer { applied, known } => Err(OpenError::SchemaNewer { path: path(), applied, known }),
        SchemaState::Changed { version } => Err(OpenError::SchemaChanged { path: path(), version }),
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
