//! Looks at a server and at a database for an operator: whether Gatekey can do there what it has to. Changes nothing.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use gatekey_core::{Clock, StoreError, SystemClock};
use gatekey_model::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use crate::PostgresStore;
use crate::connect::pool;
use crate::fault::{Fault, store_error};
use crate::statements::Statements;

/// How often the round trip is taken.
const TRIPS: usize = 5;
/// How long a notification may take.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// What a server in service does with each table.
const NEEDED: [(&str, &str); 21] = [
    ("_sqlx_migrations", "SELECT"),
    ("compatibility", "SELECT"),
    ("token", "SELECT"),
    ("token", "INSERT"),
    ("token", "UPDATE"),
    ("tenant", "SELECT"),
    ("tenant", "INSERT"),
    ("tenant", "UPDATE"),
    ("create_request", "SELECT"),
    ("create_request", "INSERT"),
    ("create_request", "UPDATE"),
    ("head", "SELECT"),
    ("head", "UPDATE"),
    ("revocation_log", "SELECT"),
    ("revocation_log", "INSERT"),
    ("revocation_log", "DELETE"),
    ("replica", "SELECT"),
    ("replica", "INSERT"),
    ("replica", "UPDATE"),
    ("replica", "DELETE"),
    ("audit_log", "INSERT"),
];

/// What was seen of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// Its version, in its own words.
    pub version: String,
    /// How long a statement that does nothing takes: the shortest of some.
    pub round_trip: Duration,
    /// How far its wall clock is ahead of this machine's, in microseconds; negative if it is behind.
    pub clock_ahead_micros: i64,
    /// `fsync` and `full_page_writes`: whether a crash of its machine keeps what was committed.
    pub survives_crashes: bool,
    /// `synchronous_commit` as sessions have it that do not set it. Those of Gatekey do.
    pub synchronous_commit: String,
    /// How many more connections it would take from this role: by its own limit, the role's and the database's.
    pub connections_left: i64,
    /// The role.
    pub role: RoleExamined,
    /// Whether two statements on one connection met the same session; not so behind a pooler in transaction mode, said
    /// to be there or not.
    pub same_session: bool,
}

/// What was seen of the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleExamined {
    /// Its name.
    pub name: String,
    /// What it has and Gatekey has no use for, as in `SUPERUSER`.
    pub excess: Vec<String>,
    /// What it lacks on the tables that there are, as in `UPDATE on head`.
    pub missing: Vec<String>,
}

impl PostgresStore {
    /// Looks at the server.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        self.database.read(|connection| examine(connection).boxed()).await
    }

    /// Whether a notification of one connection is heard on another, as servers would listen: past a pooler, if there is a way.
    /// If there is none, nobody listens, and nothing is tried: the pooler would keep the LISTEN on a session that others use.
    pub async fn hears(&self) -> Result<bool, StoreError> {
        if self.direct.is_pooled() {
            return Ok(false);
        }
        let heard = async {
            // A name of its own, so that nobody else is woken.
            let channel = format!("gatekey_doctor_{}", SystemClock.now().unix_micros());
            let pool = pool(&self.direct, &self.options, 1, self.trouble.clone());
            let mut listener = PgListener::connect_with(&pool).await.map_err(Fault::Connect)?;
            listener.listen(&channel).await?;
            let rung = channel.clone();
            self.database.run(move |connection| ring(connection, rung).boxed()).await?;
            match timeout(HEARD_WITHIN, listener.recv()).await {
                Ok(heard) => heard.map(|heard| heard.channel() == channel).map_err(Fault::Sql),
                Err(_) => Ok(false),
            }
        };
        let limit = self.options.operation_timeout + HEARD_WITHIN;
        timeout(limit, heard).await.unwrap_or(Err(Fault::TimedOut)).map_err(store_error)
    }
}

async fn ring(connection: &mut Statements<'_>, channel: String) -> Result<(), Fault> {
    sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(connection).await?;
    Ok(())
}

async fn examine(connection: &mut Statements<'_>) -> Result<Examination, Fault> {
    let (round_trip, clock_ahead_micros) = trips(connection).await?;
    let row = sqlx::query(
        "SELECT current_setting('server_version') AS version,
                current_setting('fsync')::bool AND current_setting('full_page_writes')::bool AS survives_crashes,
                (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit,
                least(
                    current_setting('max_connections')::bigint
                        - current_setting('superuser_reserved_connections')::bigint
                        - coalesce(current_setting('reserved_connections', true)::bigint, 0)
                        - (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL),
                    -- Nobody holds a superuser to these.
                    (SELECT rolconnlimit - (SELECT count(*) FROM pg_stat_activity
                                            WHERE datid IS NOT NULL AND usesysid = pg_roles.oid)
                     FROM pg_roles WHERE rolname = session_user AND rolconnlimit >= 0 AND NOT rolsuper),
                    (SELECT datconnlimit - (SELECT count(*) FROM pg_stat_activity
                                            WHERE datid = pg_database.oid AND usesysid IS NOT NULL)
                     FROM pg_database, pg_roles
                     WHERE datname = current_database() AND datconnlimit >= 0
                         AND rolname = session_user AND NOT rolsuper)
                ) AS connections_left",
    )
    .fetch_one(&mut *connection)
    .await?;
    let one: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    let other: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    Ok(Examination {
        version: row.try_get("version")?,
        round_trip,
        clock_ahead_micros,
        survives_crashes: row.try_get("survives_crashes")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        connections_left: row.try_get("connections_left")?,
        role: role(connection).await?,
        same_session: one == other,
    })
}

/// The shortest round trip, and how far the server's clock was ahead in its middle.
async fn trips(connection: &mut Statements<'_>) -> Result<(Duration, i64), Fault> {
    let mut best: Option<(Duration, i64)> = None;
    for _ in 0..TRIPS {
        let (begun, before) = (Instant::now(), SystemClock.now().unix_micros());
        let theirs = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
        let took = begun.elapsed();
        let half = i64::try_from(took.as_micros() / 2).unwrap_or(0);
        let ahead = Timestamp::from_date_time(theirs).unix_micros() - before - half;
        if best.is_none_or(|(shortest, _)| took < shortest) {
            best = Some((took, ahead));
        }
    }
    best.ok_or(Fault::Impossible("no round trip"))
}

async fn role(connection: &mut Statements<'_>) -> Result<RoleExamined, Fault> {
    let row = sqlx::query(
        "SELECT rolname::text AS name, rolsuper, rolcreaterole, rolreplication, rolbypassrls
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut excess = Vec::new();
    for (column, name) in [
        ("rolsuper", "SUPERUSER"),
        ("rolcreaterole", "CREATEROLE"),
        ("rolreplication", "REPLICATION"),
        ("rolbypassrls", "BYPASSRLS"),
    ] {
        if row.try_get(column)? {
            excess.push(name.to_owned());
        }
    }
    let (tables, rights): (Vec<&str>, Vec<&str>) = NEEDED.into_iter().unzip();
    // Of a table that there is not nothing is missing: that is the schema's affair.
    let missing: Vec<(String, String)> = sqlx::query_as(
        "SELECT privilege, name FROM unnest($1::text[], $2::text[]) AS needed (name, privilege)
         WHERE to_regclass(name) IS NOT NULL AND NOT has_table_privilege(to_regclass(name), privilege)",
    )
    .bind(tables)
    .bind(rights)
    .fetch_all(connection)
    .await?;
    let missing = missing.into_iter().map(|(privilege, table)| format!("{privilege} on {table}")).collect();
    Ok(RoleExamined { name: row.try_get("name")?, excess, missing })
}
