//! The schema: whether the database's is the one that this program knows, and how it becomes so.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::OpenError;
use crate::fault::Fault;
use crate::statements::Statements;
use crate::way::Way;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// The advisory lock of whoever migrates, in this database: "gatekey" and a 1.
const LOCK: i64 = 0x6761_7465_6b65_7901;
/// Between two tries to take it. One that waited in a statement would be waited for by an index that is made concurrently.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// Between two words of that.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// How the database's schema compares with the one that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// They are the same.
    Current,
    /// Migrations are missing: all of them, or the newest.
    Behind,
    /// It has migrations that this program doesn't know yet, and they say that this program may go on.
    NewerCompatible {
        /// The newest migration in the database.
        applied: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// It has migrations that this program doesn't know yet, and that it can't live with.
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
    /// Passes if this program may use the schema.
    pub(crate) fn require_usable(self) -> Result<Self, OpenError> {
        match self {
            Self::Behind => Err(OpenError::SchemaBehind),
            _ => self.require_known().map(|()| self),
        }
    }

    /// Passes if migrations lead from here to what this program may use.
    fn require_known(self) -> Result<(), OpenError> {
        match self {
            Self::Current | Self::Behind | Self::NewerCompatible { .. } => Ok(()),
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

/// Brings the schema up to date, and says how it was before. Two at once do it one after the other, however long it takes: the
/// second one tells `waiting` for whom, every now and then. The lock is the session's, and is left behind if a migration fails: so
/// the connection is this one's own, and ends with it.
pub(crate) async fn migrate(
    mut connection: PgConnection,
    waiting: impl Fn(&str) + Send,
) -> Result<SchemaState, OpenError> {
    lock(&mut connection, waiting).await.map_err(OpenError::Schema)?;
    // No limit for a statement, as a migration may take long. But one that waits for a table's lock stops everybody who comes
    // after it, so it gives up. So does the wait for sqlx's own lock, which a program from before ours may have.
    sqlx::query(
        "SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '60000', false)",
    )
    .execute(&mut connection)
    .await
    .map_err(OpenError::Schema)?;
    let before = state(&mut Statements::on(&mut connection, &Way::Direct)).await.map_err(read_error)?;
    before.require_known()?;
    if before == SchemaState::Behind {
        // Not `run`: the compiler can't tell of its future that it may be sent to another thread.
        let migrated = MIGRATIONS.run_direct(None, &mut connection, false).await;
        if let Err(cause) = migrated {
            // A program that does not know our lock may have been faster: then all that is ours is there.
            let now = state(&mut Statements::on(&mut connection, &Way::Direct)).await.map_err(read_error)?;
            if now.require_usable().is_err() {
                return Err(OpenError::Migrate(cause));
            }
        }
    }
    // Where a pooler stands in between without anybody having said so, the session goes on.
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(LOCK)
        .execute(&mut connection)
        .await
        .map_err(OpenError::Schema)?;
    connection.close().await.map_err(OpenError::Schema)?;
    Ok(before)
}

/// Takes the lock of whoever migrates, and tells while another one has it.
async fn lock(connection: &mut PgConnection, waiting: impl Fn(&str) + Send) -> Result<(), sqlx::Error> {
    let mut told: Option<Instant> = None;
    loop {
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await?;
        if locked {
            return Ok(());
        }
        if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            waiting(&holder(connection).await?);
            told = Some(Instant::now());
        }
        sleep(TRY_AGAIN).await;
    }
}

/// Who has the lock, for whoever has to end a session that is left of a machine that is gone.
async fn holder(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let held: Option<(i32, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT pg_locks.pid, host(client_addr), state
         FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (classid::bigint << 32 | objid::bigint) = $1",
    )
    .bind(LOCK)
    .fetch_optional(connection)
    .await?;
    let Some((pid, address, state)) = held else { return Ok("another session".to_owned()) };
    let (address, state) =
        (address.unwrap_or_else(|| "an address not shown".to_owned()), state.unwrap_or_default());
    Ok(format!(
        "process {pid} of Postgres, from {address}, {}",
        if state.is_empty() { "not shown" } else { &state }
    ))
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
