//! The schema: whether the file's is the one that this program knows, and how it becomes so.

use std::path::Path;

use futures_util::FutureExt;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use crate::OpenError;
use crate::fault::is_not_a_database;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// How the file's schema compares with the one that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// They are the same.
    Current,
    /// Migrations are missing: all of them, or the newest.
    Behind,
    /// It has migrations that this program doesn't know yet, and they say that this program may go on.
    NewerCompatible {
        /// The newest migration in the file.
        applied: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// It has migrations that this program doesn't know yet, and that it can't live with.
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

pub(crate) async fn state(connection: &mut SqliteConnection) -> Result<SchemaState, sqlx::Error> {
    let any: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !any {
        return Ok(SchemaState::Behind);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *connection)
            .await?;
    // Only a newer schema is asked, and none of those lacks the table.
    let oldest_known = match applied.last() {
        Some((version, _)) if !MIGRATIONS.version_exists(*version) => {
            sqlx::query_scalar("SELECT oldest_known FROM compatibility").fetch_optional(connection).await?
        }
        _ => None,
    };
    Ok(compare(&applied, oldest_known, &MIGRATIONS))
}

/// Compares the migrations that were applied, oldest first, with those that are known. `oldest_known` is the migration that
/// a program must know to use the schema, as the newest of them says.
fn compare(applied: &[(i64, Vec<u8>)], oldest_known: Option<i64>, known: &Migrator) -> SchemaState {
    let newest = known.iter().map(|migration| migration.version).max().unwrap_or(0);
    let is_known = |version: i64| version <= newest;
    for (version, checksum) in applied.iter().filter(|(version, _)| is_known(*version)) {
        let same = |migration: &sqlx::migrate::Migration| {
            migration.version == *version && *migration.checksum == **checksum
        };
        if !known.iter().any(same) {
            return SchemaState::Changed { version: *version };
        }
    }
    let all = applied.iter().filter(|(version, _)| is_known(*version)).count() == known.iter().count();
    match applied.last() {
        Some((applied, _)) if !is_known(*applied) => {
            let (applied, known) = (*applied, newest);
            // A program that knows less than the schema's authors did takes no part in it.
            if all && oldest_known.is_some_and(|oldest| oldest <= known) {
                SchemaState::NewerCompatible { applied, known }
            } else {
                SchemaState::Newer { applied, known }
            }
        }
        _ if all => SchemaState::Current,
        _ => SchemaState::Behind,
    }
}

/// How the schema of a file is that no process need have open; a file that is not there is behind. Changes nothing.
pub(crate) async fn state_of(path: &Path) -> Result<SchemaState, OpenError> {
    let told = |source| {
        let path = path.to_owned();
        if is_not_a_database(&source) {
            OpenError::NotADatabase { path }
        } else {
            OpenError::Open { path, source }
        }
    };
    if !path.exists() {
        return Ok(SchemaState::Behind);
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.map_err(told)?;
    let state = state(&mut connection).await.map_err(told)?;
    connection.close().await.map_err(told)?;
    Ok(state)
}

/// Brings the schema up to date and says how it was before, or refuses one that is newer and incompatible, or changed.
pub(crate) async fn migrate(writer: &SqlitePool, path: &Path) -> Result<SchemaState, OpenError> {
    let path = || path.to_owned();
    let opened = |source| OpenError::Open { path: path(), source };
    let mut connection = writer.acquire().await.map_err(opened)?;
    let before = state(&mut connection).await.map_err(opened)?;
    // The one connection of the pool.
    drop(connection);
    match before {
        SchemaState::Current | SchemaState::NewerCompatible { .. } => Ok(before),
        SchemaState::Behind => {
            // Boxed: else the compiler can't tell that the future may be sent to another thread.
            let migrated = MIGRATIONS.run(writer).boxed().await;
            migrated.map(|()| before).map_err(|source| OpenError::Migrate { path: path(), source })
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
        assert_eq!(compare(&known(), Some(1), &MIGRATIONS), SchemaState::Current);
        assert_eq!(compare(&[], None, &MIGRATIONS), SchemaState::Behind);
        assert_eq!(compare(&known()[..1], None, &MIGRATIONS), SchemaState::Behind);
        let mut newer = known();
        newer.push((newest + 1, vec![0]));
        let (compatible, refused) = (
            SchemaState::NewerCompatible { applied: newest + 1, known: newest },
            SchemaState::Newer { applied: newest + 1, known: newest },
        );
        for (oldest, expected) in
            [(Some(1), compatible), (Some(newest), compatible), (Some(newest + 1), refused), (None, refused)]
        {
            assert_eq!(compare(&newer, oldest, &MIGRATIONS), expected, "{oldest:?}");
        }
        newer.remove(0);
        assert_eq!(compare(&newer, Some(1), &MIGRATIONS), refused, "one of ours is missing");
        let mut changed = known();
        changed[0].1[0] ^= 1;
        changed.push((newest + 1, vec![0]));
        assert_eq!(compare(&changed, Some(1), &MIGRATIONS), SchemaState::Changed { version: changed[0].0 });
    }
}
