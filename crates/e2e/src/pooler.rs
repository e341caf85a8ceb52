//! A real `PgBouncer` in transaction mode, and the ways by which replicas reach their store: with it and without.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clap::ValueEnum;
use tempfile::TempDir;

use crate::postgres::{give_to_postgres, is_root};
use crate::root;
use crate::server::send_signal;

/// Where Debian's package has it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// Where its settings are described.
const PAGE: &str = "docs/postgres.md";

/// How replicas reach their store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// Straight.
    #[default]
    Direct,
    /// By a pooler in transaction mode; renewals, notifications and migrations past it.
    PastPooler,
    /// By a pooler in transaction mode, altogether.
    BehindPooler,
}

/// A running `PgBouncer`. Killed when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    options: String,
}

impl Way {
    /// The pooler of this way, if it has one, before the server at this address.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn pooler(self, server: SocketAddr) -> Option<PgBouncer> {
        (self != Self::Direct).then(|| PgBouncer::before(server))
    }

    /// What a server is told of its store: the URL by which it is reached, by the pooler if there is one, and the one
    /// that leads straight there.
    #[must_use]
    pub fn flags(self, url: &str, direct: &str) -> Vec<String> {
        let mut flags = vec!["--database-url", url];
        if self != Self::Direct {
            flags.extend(["--database-pooler", "transaction"]);
        }
        if self == Self::PastPooler {
            flags.extend(["--database-direct-url", direct]);
        }
        flags.into_iter().map(str::to_owned).collect()
    }
}

impl PgBouncer {
    fn before(server: SocketAddr) -> Self {
        let folder = TempDir::new().expect("a folder");
        give_to_postgres(folder.path());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let users = folder.path().join("users");
        std::fs::write(&users, "\"postgres\" \"\"\n").expect("a file");
        let (ip, port) = (address.ip(), address.port());
        let users = users.display();
        // What comes last counts.
        let options = format!(
            "{}listen_addr = {ip}\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {users}\n",
            documented()
        );
        write(folder.path(), server, &options);
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(PROGRAM);
        command.arg(folder.path().join("pgbouncer.ini"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if is_root() {
            // It refuses to run as root.
            command.uid(id("-u")).gid(id("-g"));
        }
        let child = command.spawn().expect("Debian's package pgbouncer is installed: scripts/need pgbouncer");
        let mut this = Self { child, folder, address, options };
        while TcpStream::connect(address).is_err() {
            let ended = this.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{}", this.log());
        }
        this
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has it lead to another server, under connections that stay as they are.
    ///
    /// # Panics
    /// If its settings can't be written.
    pub fn lead_to(&self, server: SocketAddr) {
        write(self.folder.path(), server, &self.options);
        send_signal(self.child.id(), "HUP");
    }

    /// A URL by way of it, for this one that leads straight to the server.
    ///
    /// # Panics
    /// If that has no user and database.
    #[must_use]
    pub fn url(&self, direct: &str) -> String {
        let (user, rest) = direct.rsplit_once('@').expect("a URL with a user");
        let (_, database) = rest.split_once('/').expect("a URL with a database");
        format!("{user}@{}/{database}", self.address)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The settings that the documentation recommends.
fn documented() -> String {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("a page");
    let settings = page.lines().skip_while(|line| *line != "[pgbouncer]").take_while(|line| *line != "```");
    let settings: String = settings.flat_map(|line| [line, "\n"]).collect();
    assert!(settings.contains("pool_mode = transaction"), "{PAGE} has no settings");
    settings
}

fn write(folder: &Path, server: SocketAddr, options: &str) {
    let (ip, port) = (server.ip(), server.port());
    // Whole at once: it is read whenever a signal comes.
    let new = folder.join("new");
    std::fs::write(&new, format!("[databases]\n* = host={ip} port={port}\n{options}")).expect("a file");
    std::fs::rename(new, folder.join("pgbouncer.ini")).expect("renamed");
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A number of the user postgres.
fn id(which: &str) -> u32 {
    let id = Command::new("id").args([which, "postgres"]).output().expect("id runs");
    String::from_utf8(id.stdout).expect("text").trim().parse().expect("a number")
}

/// These tests, each by every way to the store: functions beside it, which take a [`Way`].
#[macro_export]
macro_rules! by_every_way {
    ($($test:ident)*) => {
        $crate::by_every_way! { @way direct Direct $($test)* }
        $crate::by_every_way! { @way past_a_pooler PastPooler $($test)* }
        $crate::by_every_way! { @way behind_a_pooler BehindPooler $($test)* }
    };
    (@way $module:ident $way:ident $($test:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test($crate::Way::$way).await;
                }
            )*
        }
    };
}
