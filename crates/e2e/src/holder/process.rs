//! A holder in a process of its own, to be stopped, woken and killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::oneshot;

use super::{Checked, HolderStart, line};
use crate::binary::holder;
use crate::server::send_signal;

/// Who waits for which answer; nobody can any more once the process is gone.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Checked>>>>>;

/// A running holder. Killed when dropped.
#[derive(Debug)]
pub struct HolderProcess {
    child: Mutex<Child>,
    pid: u32,
    commands: mpsc::Sender<String>,
    waiting: Waiting,
    number: AtomicU64,
}

impl HolderStart {
    /// Starts it in a process of its own.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_process(&self) -> HolderProcess {
        let endpoints: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
        let mut child = Command::new(holder())
            .args(["--endpoints", &endpoints.join(","), "--first", &self.first.to_string()])
            .env("GATEKEY_JWT", &self.jwt)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the holder's binary can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (commands, told) = mpsc::channel::<String>();
        // A thread of its own: the pipe to a process that is stopped may be full.
        std::thread::spawn(move || {
            for command in told {
                if writeln!(stdin, "{command}").is_err() {
                    return;
                }
            }
        });
        let waiting = Waiting::new(Mutex::new(Some(HashMap::new())));
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                let (number, checked) = line::answered(&text).expect("an answer");
                let mut waiting = answers.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(who) = waiting.as_mut().and_then(|waiting| waiting.remove(&number)) {
                    // Who asked may have given up.
                    who.send(checked).ok();
                }
            }
            *answers.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        let pid = child.id();
        HolderProcess { child: Mutex::new(child), pid, commands, waiting, number: AtomicU64::new(0) }
    }
}

impl HolderProcess {
    /// A request came with this token value. It is sent at once, whether or not the process runs, and
    /// answered if ever: nothing if the process ends before. It goes on even if nobody waits.
    pub fn check(&self, value: &str) -> impl Future<Output = Option<Checked>> + Send + 'static + use<> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (who, answer) = oneshot::channel();
        if let Some(waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            waiting.insert(number, who);
        }
        // If nobody takes it, nobody answers.
        self.commands.send(line::command(number, value)).ok();
        async move { answer.await.ok() }
    }

    /// Sends a signal by name, as in `STOP`.
    pub fn signal(&self, name: &str) {
        send_signal(self.pid, name);
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
    }
}

impl Drop for HolderProcess {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It may have ended already; either way nothing is left behind.
        child.kill().ok();
        child.wait().ok();
    }
}
