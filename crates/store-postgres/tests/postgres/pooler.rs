//! A real `PgBouncer` in transaction mode, between a test's store and its server.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use uuid::Uuid;

/// What a sensible operator gives it: tests hold more connections than one replica does.
const SESSIONS: u32 = 40;

/// A running one. It is ended, and its folder removed, when it is dropped.
pub(crate) struct PgBouncer {
    child: Child,
    folder: PathBuf,
    pub(crate) port: u16,
    options: String,
}

impl PgBouncer {
    /// One that leads to the server at this port.
    pub(crate) fn before(server: u16) -> Self {
        Self::with(server, SESSIONS, "")
    }

    /// One with so many sessions for each database, and with more lines in its settings.
    pub(crate) fn with(server: u16, sessions: u32, more: &str) -> Self {
        let folder = PathBuf::from(format!("/tmp/gatekey-pooler-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).expect("a folder");
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("bound").port();
        std::fs::write(folder.join("users"), "\"postgres\" \"\"\n").expect("a file");
        let options = format!(
            "[pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             pool_mode = transaction\n\
             auth_type = trust\n\
             auth_file = {}\n\
             max_client_conn = 1000\n\
             default_pool_size = {sessions}\n\
             server_login_retry = 0.1\n\
             {more}\n",
            folder.join("users").display()
        );
        let settings = folder.join("pgbouncer.ini");
        let log = std::fs::File::create(folder.join("log")).expect("a file");
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if id(&["-u"]) == 0 {
            // It refuses to run as root.
            command.uid(id(&["-u", "postgres"])).gid(id(&["-g", "postgres"]));
        }
        write(&folder, server, &options);
        let child = command.spawn().expect("Debian's package pgbouncer is installed");
        let mut this = Self { child, folder, port, options };
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = this.child.try_wait().expect("a child");
            assert!(
                ended.is_none(),
                "{}",
                std::fs::read_to_string(this.folder.join("log")).unwrap_or_default()
            );
        }
        this
    }

    /// Has it lead to the server at another port, soon.
    pub(crate) fn lead_to(&self, server: u16) {
        write(&self.folder, server, &self.options);
        let status =
            Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }
}

fn write(folder: &std::path::Path, server: u16, options: &str) {
    // Whole at once: it is read whenever a signal comes.
    let new = folder.join("new");
    std::fs::write(&new, format!("[databases]\n* = host=127.0.0.1 port={server}\n{options}"))
        .expect("a file");
    std::fs::rename(new, folder.join("pgbouncer.ini")).expect("renamed");
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn id(args: &[&str]) -> u32 {
    let id = Command::new("id").args(args).output().expect("id runs");
    String::from_utf8(id.stdout).expect("text").trim().parse().expect("a number")
}
