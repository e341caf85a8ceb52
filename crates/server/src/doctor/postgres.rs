//! Postgres: whether it is there, is the primary, has the schema and the rights, keeps what it acknowledges, and has the
//! right time.

use std::time::Duration;

use gatekey_core::RevocationLog;
use gatekey_store_postgres::{Examination, OpenError, PostgresStore, Replication, SchemaState};

use super::finding::Findings;
use super::replicas;
use crate::Failure;
use crate::config::{PoolerMode, PostgresConfig};
use crate::store::{CALL, connect_postgres};

/// A renewal takes a few round trips, and a lease of 2 seconds is renewed five times in its life.
const SLOW: Duration = Duration::from_millis(50);
/// Clocks that differ by more let tokens live longer or shorter than they should.
const SKEW: i64 = 5_000_000;

pub(super) async fn look(config: &PostgresConfig, findings: &mut Findings) -> Result<(), Failure> {
    let store = match connect_postgres(config, config.connections, CALL).await {
        Ok(store) => store,
        Err(cause) => return unreachable(&cause, findings),
    };
    let looked = look_at(&store, config, findings).await;
    store.close().await;
    looked
}

fn unreachable(cause: &OpenError, findings: &mut Findings) -> Result<(), Failure> {
    let Failure::Run(text) = Failure::caused("Postgres", cause) else { return Ok(()) };
    findings.fail("store", &text)
}

async fn look_at(
    store: &PostgresStore,
    config: &PostgresConfig,
    findings: &mut Findings,
) -> Result<(), Failure> {
    match store.examine().await {
        Ok(seen) => {
            server(&seen, findings)?;
            clock(&seen, findings)?;
            durability(&seen, findings)?;
            role(&seen, findings)?;
            room(&seen, store.most_connections(), findings)?;
            if config.pooler == PoolerMode::None && !seen.same_session {
                findings.warn(
                    "pooler",
                    "two statements of one connection met two sessions: a pooler in transaction mode lies between, and \
                     statements and notifications get lost in it; name Postgres itself, or give --database-pooler transaction",
                )?;
            }
        }
        Err(cause) => {
            let Failure::Run(text) = Failure::caused("it answered, and can't be looked at", &cause) else {
                return Ok(());
            };
            findings.fail("store", &text)?;
        }
    }
    replication(store, findings).await?;
    hearing(store, findings).await?;
    if schema(store, findings).await? {
        match store.head().await {
            Ok(head) => findings.ok("log", &format!("the newest revocation is {head}"))?,
            Err(cause) => findings.fail("log", &format!("the head of the log can't be read: {cause}"))?,
        }
        replicas::look(store, findings).await?;
    }
    Ok(())
}

fn server(seen: &Examination, findings: &mut Findings) -> Result<(), Failure> {
    let trip = format!("a round trip takes {:.1} ms", seen.round_trip.as_secs_f64() * 1e3);
    if seen.round_trip > SLOW {
        let text = format!(
            "Postgres {}, and {trip}: far, so that leases are renewed late and deletes are slow",
            seen.version
        );
        return findings.warn("store", &text);
    }
    findings.ok("store", &format!("Postgres {}, the primary; {trip}", seen.version))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn clock(seen: &Examination, findings: &mut Findings) -> Result<(), Failure> {
    let ahead = seen.clock_ahead_micros;
    let seconds = ahead.unsigned_abs() as f64 / 1e6;
    if ahead.abs() > SKEW {
        let which = if ahead > 0 { "behind" } else { "ahead of" };
        return findings.warn(
            "clock",
            &format!(
                "this machine is {seconds:.1} s {which} the database's: by one of them tokens expire at another time than \
                 they should; look at NTP on both. Leases do not go by it"
            ),
        );
    }
    findings.ok("clock", &format!("it differs from the database's by {seconds:.3} s"))
}

fn durability(seen: &Examination, findings: &mut Findings) -> Result<(), Failure> {
    if !seen.survives_crashes {
        return findings.fail(
            "durability",
            "fsync or full_page_writes is off: a crash of the database's machine loses deletes that were answered with OK",
        );
    }
    findings.ok(
        "durability",
        &format!(
            "commits are on the disk before they are answered: Gatekey's sessions set synchronous_commit = on (the default \
             there is {})",
            seen.synchronous_commit
        ),
    )
}

fn role(seen: &Examination, findings: &mut Findings) -> Result<(), Failure> {
    let name = &seen.role.name;
    if !seen.role.missing.is_empty() {
        let missing = seen.role.missing.join(", ");
        findings.fail(
            "rights",
            &format!("the role {name} lacks {missing}: GRANT it what docs/postgres.md lists"),
        )?;
    }
    if !seen.role.excess.is_empty() {
        let excess = seen.role.excess.join(", ");
        let text =
            format!("the role {name} is {excess}, of which Gatekey has no use: give it a role of its own");
        return findings.warn("rights", &text);
    }
    if seen.role.missing.is_empty() {
        return findings
            .ok("rights", &format!("the role {name} may do what a server does, and is no superuser"));
    }
    Ok(())
}

fn room(seen: &Examination, needed: u32, findings: &mut Findings) -> Result<(), Failure> {
    let left = seen.connections_left;
    if left < i64::from(needed) {
        let text = format!(
            "Postgres has room for {left} more connections, and one server takes up to {needed}: raise max_connections or the \
             CONNECTION LIMIT of the role or the database, or lower --database-connections (no matter if the server runs \
             already)"
        );
        return findings.warn("connections", &text);
    }
    findings.ok("connections", &format!("Postgres has room for {left} more; one server takes up to {needed}"))
}

async fn replication(store: &PostgresStore, findings: &mut Findings) -> Result<(), Failure> {
    match store.replication().await {
        Ok(replication @ Replication::Synchronous { .. }) => {
            findings.ok("replication", &replication.to_string())
        }
        Ok(replication @ Replication::Unattached { .. }) => {
            findings.fail("replication", &replication.to_string())
        }
        Ok(replication) => findings.warn("replication", &replication.to_string()),
        Err(cause) => findings.warn("replication", &format!("it can't be read: {cause}")),
    }
}

async fn hearing(store: &PostgresStore, findings: &mut Findings) -> Result<(), Failure> {
    match store.hears().await {
        Ok(true) => findings.ok("listen", "what one connection notifies, another one hears"),
        Ok(false) => findings.warn(
            "listen",
            "a notification was not heard: a pooler swallows it, and only polls every 250 ms find revocations; name Postgres \
             itself, or a way past the pooler by --database-direct-url",
        ),
        Err(cause) => findings.warn("listen", &format!("LISTEN does not work: {cause}; polls every 250 ms have to do")),
    }
}

/// Whether the tables are there.
async fn schema(store: &PostgresStore, findings: &mut Findings) -> Result<bool, Failure> {
    match store.schema().await {
        Ok(SchemaState::Current) => {
            findings.ok("schema", "it is the one that this program knows").map(|()| true)
        }
        Ok(SchemaState::NewerCompatible { applied, known }) => {
            let text =
                format!("it is newer, and for this program too ({applied}; this program's is {known})");
            findings.ok("schema", &text).map(|()| true)
        }
        Ok(SchemaState::Behind) => {
            findings.fail("schema", "migrations are missing: run `gatekey migrate`").map(|()| false)
        }
        Ok(state) => findings
            .fail("schema", &format!("it is none that this program knows ({state:?})"))
            .map(|()| false),
        Err(cause) => findings.fail("schema", &format!("it can't be read: {cause}")).map(|()| false),
    }
}
