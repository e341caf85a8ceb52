//! What can be done to a fleet's store.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::Fleet;
use crate::{Cluster, ROOMY};

/// Between two looks.
const POLL: Duration = Duration::from_millis(5);

/// Functions of a schema that is searched before the system's own go first.
const NO_NOTIFY: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS suppress",
    "CREATE OR REPLACE FUNCTION suppress.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'",
];

/// Backends that wait for a standby with their COMMIT.
const HELD: &str = "SELECT pid::int8 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'SyncRep'";

/// Those of them that revoke a token.
const HELD_DELETES: &str = "SELECT DISTINCT activity.pid::int8
    FROM pg_stat_activity AS activity JOIN pg_locks AS locks USING (pid)
    WHERE datname = current_database() AND wait_event = 'SyncRep' AND relation = 'revocation_log'::regclass
        AND mode = 'RowExclusiveLock'";

/// How a backend that waits with its COMMIT is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturb {
    /// Its wait is cancelled: the client gets a success and a warning.
    Cancel,
    /// It is ended: the client gets no answer.
    Terminate,
}

impl Fleet {
    /// From now on, sessions that begin notify nobody.
    pub async fn suppress_notify(&self) {
        for statement in NO_NOTIFY {
            self.database.execute(statement).await;
        }
        let name = self.database.name();
        let path = "suppress, pg_catalog, public";
        self.database.execute(&format!("ALTER DATABASE {name} SET search_path TO {path}")).await;
    }

    /// From now on, sessions that begin notify as ever.
    pub async fn restore_notify(&self) {
        self.database.execute(&format!("ALTER DATABASE {} RESET search_path", self.database.name())).await;
    }

    /// Ends all of the replicas' sessions.
    pub async fn end_sessions(&self) {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.database.execute(all).await;
    }

    /// Stops the store as a crash does, and starts it again.
    ///
    /// # Panics
    /// If the fleet has no cluster of its own.
    pub fn restart_store(&self) {
        self.restart_store_after(Cluster::stop);
    }

    /// Stops the store in this way, and starts it again.
    ///
    /// # Panics
    /// If the fleet has no cluster of its own.
    pub fn restart_store_after(&self, stop: impl FnOnce(&Cluster)) {
        let cluster = self.own_cluster();
        block_in_place(|| {
            stop(cluster);
            cluster.resume();
        });
    }

    /// From now on, no COMMIT returns: a standby that does not exist has to confirm each. Returns when one is
    /// seen to wait.
    ///
    /// # Panics
    /// If none does, or the fleet has no cluster of its own.
    pub async fn hold_commits(&self) {
        self.standbys("SET synchronous_standby_names = 'nobody'").await;
        // The renewals of leases are commits, too.
        self.wait_for_held(HELD).await;
    }

    /// Commits return again; those that were held, too.
    pub async fn release_commits(&self) {
        self.standbys("RESET synchronous_standby_names").await;
    }

    /// Disturbs the deletes that wait with their COMMIT, once there is one.
    ///
    /// # Panics
    /// If there is none.
    pub async fn disturb_deletes(&self, how: Disturb) {
        let function = match how {
            Disturb::Cancel => "pg_cancel_backend",
            Disturb::Terminate => "pg_terminate_backend",
        };
        for pid in self.wait_for_held(HELD_DELETES).await {
            self.database.execute(&format!("SELECT {function}({pid})")).await;
        }
    }

    async fn wait_for_held(&self, which: &str) -> Vec<i64> {
        let begun = Instant::now();
        loop {
            let held: Vec<(i64,)> = self.database.rows(which).await;
            if !held.is_empty() {
                return held.into_iter().map(|(pid,)| pid).collect();
            }
            assert!(begun.elapsed() < ROOMY, "no COMMIT is held");
            sleep(POLL).await;
        }
    }

    async fn standbys(&self, how: &str) {
        // It is the whole cluster's setting.
        self.own_cluster();
        self.database.execute(&format!("ALTER SYSTEM {how}")).await;
        self.database.execute("SELECT pg_reload_conf()").await;
    }

    pub(super) fn own_cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("a cluster of the fleet's own")
    }
}
