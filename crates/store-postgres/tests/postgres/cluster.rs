//! Postgres clusters of a test's own: a primary, and a standby of it, to be stopped and started at will.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// A cluster. It is stopped, and its folder removed, when it is dropped.
pub(crate) struct Cluster {
    folder: PathBuf,
    port: u16,
}

impl Cluster {
    /// A new one, which runs.
    pub(crate) fn primary() -> Self {
        let this = Self::empty();
        this.tool("initdb", &["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        this.start();
        this
    }

    /// A standby of this one, which runs and is called `standby`.
    pub(crate) fn standby(&self) -> Self {
        let this = Self::empty();
        let from = format!(
            "host=127.0.0.1 port={} user=postgres application_name=standby sslmode=disable",
            self.port
        );
        this.tool("pg_basebackup", &["-d", &from, "-R", "-c", "fast", "--no-sync"]);
        this.start();
        this
    }

    fn empty() -> Self {
        // Directly in /tmp: the user postgres has to get there, and a socket's path has at most 107 bytes.
        let folder = PathBuf::from(format!("/tmp/gatekey-cluster-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).expect("a folder");
        if is_root() {
            let status = Command::new("chown").arg("postgres").arg(&folder).status().expect("chown runs");
            assert!(status.success());
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        Self { folder, port }
    }

    pub(crate) fn start(&self) {
        let log = self.folder.join("log");
        let options = format!("-p {} -k {} -c listen_addresses=127.0.0.1", self.port, self.folder.display());
        self.tool("pg_ctl", &["-l", text(&log), "-o", &options, "-w", "-t", "60", "start"]);
    }

    /// At once, as `immediate` does: without a word to anyone.
    pub(crate) fn stop(&self) {
        self.tool("pg_ctl", &["-m", "immediate", "-w", "-t", "60", "stop"]);
    }

    /// Makes a primary of a standby.
    pub(crate) fn promote(&self) {
        self.tool("pg_ctl", &["-w", "-t", "60", "promote"]);
    }

    /// Takes the other's place: whoever connects to that port is connected to this one. Both have to be
    /// stopped.
    pub(crate) fn replace(&mut self, other: &Self) {
        self.port = other.port;
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The database that every cluster has.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Runs a statement, alone and in no transaction.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("runs");
        connection.close().await.expect("closes");
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("connects")
    }

    fn tool(&self, name: &str, args: &[&str]) {
        let said = self.folder.join(format!("{name}.out"));
        // A file: the server inherits it, and a pipe would stay open as long as it runs.
        let log = std::fs::File::create(&said).expect("a file");
        let mut command = as_postgres(text(&installed().join(name)));
        command.args(["-D", text(&self.folder.join("data"))]).args(args).current_dir(&self.folder);
        let status =
            command.stdin(Stdio::null()).stderr(log.try_clone().expect("a file")).stdout(log).status();
        let status = status.expect("Postgres's tools can be started");
        assert!(status.success(), "{name}: {}", std::fs::read_to_string(said).unwrap_or_default());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = as_postgres(text(&installed().join("pg_ctl")));
        stop.args(["-D", text(&self.folder.join("data")), "-m", "immediate", "-w", "stop"]);
        // It may be stopped already.
        let _ = stop.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
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

fn is_root() -> bool {
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
