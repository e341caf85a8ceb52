//! A real server process: started, watched, ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::{Begun, Client, TestIssuer, dev_token, gatekey, logs};

/// A bound for waits that only a broken server reaches.
pub const ROOMY: Duration = Duration::from_mins(1);

/// So that the search of the logs for token values sees all that our code can log.
const EVERYTHING_OF_OURS: &str = "info,gatekey=trace,gatekey_api=trace,gatekey_core=trace,gatekey_store_postgres=trace,gatekey_store_sqlite=trace";

/// How a server is to be started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    args: Vec<OsString>,
    variables: Vec<(String, String)>,
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Where it serves figures, if it was told to.
    pub metrics: Option<SocketAddr>,
    /// Where it serves health alone, if it was told to.
    pub health: Option<SocketAddr>,
    log: PathBuf,
}

impl Start {
    /// In development mode, with its data in this folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self::default().arg("--data-dir").arg(folder)
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With other arguments.
    #[must_use]
    pub fn args<'a>(self, args: impl IntoIterator<Item = &'a str>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// With this in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Trusting this issuer, whose keys are put into the folder, with `gateway` for a verifier.
    ///
    /// # Panics
    /// If the folder can't be written to.
    #[must_use]
    pub fn trusting(self, issuer: &TestIssuer, folder: &Path) -> Self {
        let keys = folder.join("keys.json");
        std::fs::write(&keys, issuer.jwks()).expect("written");
        self.args(["--issuer", &issuer.name, "--audience", "gatekey", "--verifier-subject", "gateway"])
            .arg("--jwks")
            .arg(keys)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(gatekey());
        command.arg("serve").args(&self.args).envs(self.variables.iter().cloned());
        for (flag, address) in [("--grpc-addr", "127.0.0.1:0"), ("--http-addr", "127.0.0.1:0")] {
            if !self.args.iter().any(|arg| arg == flag) {
                command.args([flag, address]);
            }
        }
        if !self.args.iter().any(|arg| arg == "--log") {
            command.args(["--log", EVERYTHING_OF_OURS]);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// If it ends instead; the message has its log.
    #[must_use]
    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|why| panic!("the server did not start: {why}"))
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Its log, if it ends instead.
    pub(crate) fn try_start(&self) -> Result<Server, String> {
        let (child, log, first_line) = self.spawn();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Server { grpc: nowhere, http: nowhere, metrics: None, health: None, child, log }
            .once_it_listens(&first_line)
    }

    /// Starts it and waits for nothing: where it listens is chosen here.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn begin(&self) -> Begun {
        let free =
            || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let (grpc, http) = (free(), free());
        let addresses = [grpc.to_string(), http.to_string()];
        let start = self.clone().args(["--grpc-addr", &addresses[0], "--http-addr", &addresses[1]]);
        let (child, log, first_line) = start.spawn();
        Begun::new(Server { grpc, http, metrics: None, health: None, child, log }, first_line)
    }

    /// The process, its log, and the first line that it says.
    fn spawn(&self) -> (Child, PathBuf, mpsc::Receiver<String>) {
        let (log, file) = new_log();
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the server's binary can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (line, first_line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let mut stdout = BufReader::new(stdout);
            if stdout.read_line(&mut text).is_ok() {
                // The receiver may have given up: then there is nobody to tell.
                line.send(text).ok();
            }
        });
        (child, log, first_line)
    }

    /// Starts it where it must refuse to start, and gives what it said.
    ///
    /// # Panics
    /// If it starts all the same.
    #[must_use]
    pub fn refused(&self) -> Output {
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's binary can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        let line = BufReader::new(stdout).lines().next();
        if line.is_some() {
            child.kill().ok();
        }
        let output = child.wait_with_output().expect("it can be waited for");
        assert!(line.is_none(), "it started: {line:?}");
        assert!(!output.status.success());
        output
    }
}

impl Server {
    /// The same, where its first line says that it listens; or its log, if it ends instead.
    pub(crate) fn once_it_listens(mut self, first_line: &mpsc::Receiver<String>) -> Result<Self, String> {
        let text = first_line.recv_timeout(ROOMY).unwrap_or_default();
        let Ok(ready) = serde_json::from_str::<Value>(&text) else {
            self.kill();
            return Err(format!("{text}{}", self.log()));
        };
        let address = |name: &str| ready[name].as_str().map(|text| text.parse().expect("an address"));
        self.grpc = address("grpc").expect("it serves gRPC");
        self.http = address("http").expect("it serves HTTP");
        self.metrics = address("metrics");
        self.health = address("health");
        Ok(self)
    }

    /// A client with a JWT for these roles and this tenant, from a server in development mode.
    #[must_use]
    pub fn client(&self, folder: &Path, roles: &[&str], tenant: &str) -> Client {
        let mut args = vec!["--tenant", tenant];
        args.extend(roles.iter().flat_map(|role| ["--role", role]));
        if roles.is_empty() {
            args.push("--no-role");
        }
        self.client_with(&dev_token(folder, &args))
    }

    /// A client with this JWT.
    #[must_use]
    pub fn client_with(&self, jwt: &str) -> Client {
        Client::connect(self.grpc, Some(jwt))
    }

    /// A client without credentials.
    #[must_use]
    pub fn stranger(&self) -> Client {
        Client::connect(self.grpc, None)
    }

    /// Sends a signal by name, as in `TERM`.
    pub fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// Waits for its end. Blocks: a test whose clients are still connected needs several threads, as a
    /// server that drains waits for its clients' part of the farewell.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = std::time::Instant::now() + ROOMY;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "the server does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory, in KiB.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends a signal by name, as in `TERM`, to a process that the caller has not waited for yet.
///
/// # Panics
/// If there is no `kill`.
pub(crate) fn send_signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill runs").success());
}

pub(crate) fn new_log() -> (PathBuf, File) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = logs().join(format!("server-{}-{number}.log", std::process::id()));
    let file = File::create(&path).expect("the log folder is writable");
    (path, file)
}
