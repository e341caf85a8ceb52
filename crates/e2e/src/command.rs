//! The commands of the real binary that run beside servers or in their place: started, fed, watched, ended.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use serde_json::Value;

use crate::gatekey;
use crate::server::{ROOMY, new_log, send_signal};

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Its lines of JSON.
    ///
    /// # Panics
    /// If one is none.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Passes if it ended well.
    ///
    /// # Panics
    /// If it did not; the message has what it said.
    #[must_use]
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Runs `gatekey` with these arguments and this on its standard input, to its end. What it says is kept with the logs of
/// servers, so that it is searched for token values too.
///
/// # Panics
/// If it can't be started.
#[must_use]
pub fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &str) -> Said {
    Running::start(args, input).end()
}

/// A command that runs. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    /// The lines of its standard error, as they come.
    lines: mpsc::Receiver<io::Result<String>>,
    said: String,
}

impl Running {
    /// Starts `gatekey` with these arguments and this on its standard input.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &str) -> Self {
        let mut running = Self::start_and_feed(args, input);
        running.stdin = None;
        running
    }

    /// The same, with a standard input that does not end while it runs.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start_and_feed<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &str) -> Self {
        let mut child = Command::new(gatekey())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let err = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || err.lines().try_for_each(|line| tell.send(line)).ok());
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // One that ends before it has read all is to be judged by what it says.
        stdin.write_all(input.as_bytes()).ok();
        Self { child, stdin: Some(stdin), lines, said: String::new() }
    }

    /// Nobody reads its standard output from now on.
    pub fn close_output(&mut self) {
        drop(self.child.stdout.take());
    }

    /// Waits until it says a line on standard error that has this in it.
    ///
    /// # Panics
    /// If it ends before, or does not say it.
    pub fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let left = ROOMY.saturating_sub(begun.elapsed());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|end| panic!("{end}, without {text:?}: {}", self.said));
            if self.hear(line).contains(text) {
                return;
            }
        }
    }

    fn hear(&mut self, line: io::Result<String>) -> String {
        let line = line.expect("text");
        self.said.push_str(&line);
        self.said.push('\n');
        line
    }

    /// Sends a signal by name, as in `TERM`.
    pub fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If what it says is no text.
    #[must_use]
    pub fn end(mut self) -> Said {
        self.stdin = None;
        let stdout = self.child.stdout.take();
        let reading = std::thread::spawn(move || {
            let mut out = String::new();
            stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut out)).map(|_| out)
        });
        while let Ok(line) = self.lines.recv() {
            self.hear(line);
        }
        let out = reading.join().expect("no panic").expect("text");
        let code = self.child.wait().expect("it can be waited for").code();
        let err = std::mem::take(&mut self.said);
        let (_, mut log) = new_log();
        log.write_all(out.as_bytes())
            .and_then(|()| log.write_all(err.as_bytes()))
            .expect("the log is writable");
        Said { code, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
