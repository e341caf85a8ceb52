//! Postgres for the tests: databases on the shared throw-away cluster, and clusters of a test's own. Their standbys are
//! in `standby.rs`.

mod standby;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::gatekey;

/// A database of a test's own on the cluster of `scripts/postgres`.
pub struct Database {
    /// Its URL.
    pub url: String,
}

impl Database {
    /// Makes an empty one.
    ///
    /// # Panics
    /// Without the cluster.
    pub async fn new() -> Self {
        let cluster = std::env::var("GATEKEY_TEST_POSTGRES").expect(
            "GATEKEY_TEST_POSTGRES names no Postgres: run `scripts/test`, or `scripts/postgres cargo test …`",
        );
        Self::on(&cluster).await
    }

    /// Brings its schema up to date, as an operator would.
    ///
    /// # Panics
    /// If that fails.
    pub fn migrate(&self) {
        let output = Command::new(gatekey()).args(["migrate", "--database-url", &self.url]).output();
        let output = output.expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The server's address.
    ///
    /// # Panics
    /// If its URL names the server by something else.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let (server, _) = self.url.rsplit_once('/').expect("the URL names a database");
        let (_, address) = server.rsplit_once('@').expect("the URL names a user");
        address.parse().expect("an address and a port")
    }

    /// Its name.
    ///
    /// # Panics
    /// Never: its URL ends with it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit_once('/').expect("the URL names a database").1
    }

    /// A connection of its own, past every proxy.
    ///
    /// # Panics
    /// If the cluster does not run.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the cluster runs")
    }

    /// Carries out a statement.
    ///
    /// # Panics
    /// If that fails.
    pub async fn execute(&self, statement: &str) {
        // The tests' own statements, without parameters.
        self.connect().await.execute(sqlx::AssertSqlSafe(statement)).await.expect("it is carried out");
    }

    /// The rows that a statement gives.
    ///
    /// # Panics
    /// If it fails.
    pub async fn rows<R>(&self, statement: &str) -> Vec<R>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let mut connection = self.connect().await;
        let rows = sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(&mut connection);
        rows.await.expect("it is carried out")
    }

    async fn on(cluster: &str) -> Self {
        let name = format!("e2e_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(cluster).await.expect("the cluster runs");
        // The name is made of letters and digits above, and CREATE DATABASE takes no parameters.
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.expect("a database can be made");
        let (server, _) = cluster.rsplit_once('/').expect("the URL names a database");
        Self { url: format!("{server}/{name}") }
    }
}

/// A throw-away cluster of a test's own, to be stopped and started at will.
pub struct Cluster {
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// Makes and starts one.
    ///
    /// # Panics
    /// If Postgres is not installed.
    #[must_use]
    pub fn start() -> Self {
        let cluster = Self::empty();
        let data = cluster.data();
        check(&cluster.tool("initdb", &["-D", text(&data), "-U", "postgres", "-A", "trust", "--no-sync"]));
        cluster.resume();
        cluster
    }

    fn empty() -> Self {
        let folder = TempDir::new().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        give_to_postgres(folder.path());
        Self { folder, port }
    }

    /// Starts it again after [`Self::stop`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn resume(&self) {
        let data = self.data();
        let log = self.folder.path().join("log");
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=300",
            self.port,
            self.folder.path().display()
        );
        let args = ["-D", text(&data), "-l", text(&log), "-o", &options, "-w", "-t", "60", "start"];
        check(&self.tool("pg_ctl", &args));
    }

    /// Stops it at once, as `immediate` does: without a checkpoint.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&self) {
        let data = self.data();
        check(&self.tool("pg_ctl", &["-D", text(&data), "-m", "immediate", "-w", "stop"]));
    }

    /// A new database on it.
    pub async fn database(&self) -> Database {
        Database::on(&format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)).await
    }

    /// Writes a database into a file as `pg_dump` does, and says where.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn dump(&self, database: &Database) -> PathBuf {
        let file = self.folder.path().join(format!("{}.dump", database.name()));
        check(&self.tool("pg_dump", &["-Fc", "-f", text(&file), "-d", &database.url]));
        file
    }

    /// Makes the database anew from what [`Self::dump`] wrote, whoever is connected.
    ///
    /// # Panics
    /// If that fails.
    pub fn restore(&self, database: &Database, dump: &Path) {
        let (server, name) = database.url.rsplit_once('/').expect("the URL names a database");
        let maintenance = format!("{server}/postgres");
        check(&self.tool("dropdb", &["--force", "--maintenance-db", &maintenance, name]));
        check(&self.tool("createdb", &["--maintenance-db", &maintenance, name]));
        check(&self.tool("pg_restore", &["--exit-on-error", "-d", &database.url, text(dump)]));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn tool(&self, name: &str, args: &[&str]) -> Output {
        let tool = installed().join(name);
        let mut command = as_postgres(text(&tool));
        command.args(args).current_dir(self.folder.path());
        // The server inherits what it is given, and a pipe would stay open as long as it runs.
        let log = std::fs::File::create(self.folder.path().join(format!("{name}.out"))).expect("a file");
        let errors = log.try_clone().expect("a file");
        let status = command.stdout(log).stderr(errors).status().expect("Postgres' tools can be started");
        let said = std::fs::read(self.folder.path().join(format!("{name}.out"))).unwrap_or_default();
        Output { status, stdout: said, stderr: Vec::new() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        self.tool("pg_ctl", &["-D", text(&data), "-m", "immediate", "-w", "stop"]);
    }
}

fn check(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// The newest Postgres of the Debian packages.
fn installed() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql is installed");
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("a version of Postgres");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}

/// Postgres refuses to run as root.
fn as_postgres(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

pub(crate) fn give_to_postgres(folder: &Path) {
    if is_root() {
        let status = Command::new("chown").arg("postgres").arg(folder).status().expect("chown runs");
        assert!(status.success());
    }
}
