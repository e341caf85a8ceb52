//! A cluster's standby, and what becomes of the two.

use std::net::{Ipv4Addr, SocketAddr};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{Cluster, check, text};

/// What a standby is called, by those who wait for it.
const NAME: &str = "standby";

impl Cluster {
    /// Makes and starts a standby of this one.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = Self::empty();
        let from = format!(
            "host=127.0.0.1 port={} user=postgres application_name={NAME} sslmode=disable",
            self.port
        );
        let data = standby.data();
        let args = ["-D", text(&data), "-d", &from, "-R", "-c", "fast", "--no-sync"];
        check(&standby.tool("pg_basebackup", &args));
        standby.resume();
        standby
    }

    /// From now on, every COMMIT waits until the standby has it. Returns when the standby is seen to follow.
    ///
    /// # Panics
    /// If it does not.
    pub async fn wait_for_standby(&self) {
        let mut connection = self.connect().await;
        for statement in
            [&*format!("ALTER SYSTEM SET synchronous_standby_names = '{NAME}'"), "SELECT pg_reload_conf()"]
        {
            connection.execute(AssertSqlSafe(statement)).await.expect("it is carried out");
        }
        let follows = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')";
        while !sqlx::query_scalar::<_, bool>(follows).fetch_one(&mut connection).await.expect("an answer") {}
    }

    /// Waits until a standby has all that was written here.
    ///
    /// # Panics
    /// If one of the two does not run.
    pub async fn is_followed_by(&self, standby: &Self) {
        let written = "SELECT pg_current_wal_lsn()::text";
        let written: String =
            sqlx::query_scalar(written).fetch_one(&mut self.connect().await).await.expect("an answer");
        let mut observer = standby.connect().await;
        let follows = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn";
        while !sqlx::query_scalar::<_, bool>(follows)
            .bind(&written)
            .fetch_one(&mut observer)
            .await
            .expect("an answer")
        {}
    }

    /// Makes a primary of this standby.
    ///
    /// # Panics
    /// If it does not become one.
    pub fn promote(&self) {
        check(&self.tool("pg_ctl", &["-D", text(&self.data()), "-w", "-t", "60", "promote"]));
    }

    /// Stops it in good order, as `fast` does: sessions end, and what was written is on the disk.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop_fast(&self) {
        check(&self.tool("pg_ctl", &["-D", text(&self.data()), "-m", "fast", "-w", "-t", "60", "stop"]));
    }

    /// Whether it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.tool("pg_ctl", &["-D", text(&self.data()), "status"]).status.success()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    async fn connect(&self) -> PgConnection {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        PgConnection::connect(&url).await.expect("it runs")
    }
}
