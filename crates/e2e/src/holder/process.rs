//! A protected service in a process of its own, to be stopped, woken and killed: the example's own binary.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use tonic::transport::Channel;

use super::call::Service;
use super::{Checked, HolderStart};
use crate::server::{new_log, send_signal};
use crate::transcribe_grpc;

/// What our own code can log, as the servers do.
const EVERYTHING_OF_OURS: &str = "info,gatekey_interceptor=trace,gatekey_examples=trace";

/// A running service. Killed when dropped.
#[derive(Debug)]
pub struct HolderProcess {
    child: Mutex<Child>,
    pid: u32,
    service: Service,
}

impl HolderStart {
    /// Starts it in a process of its own.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_process(&self) -> HolderProcess {
        let mut child = Command::new(transcribe_grpc())
            .args([
                "--gatekey",
                &self.endpoints().join(","),
                "--addr",
                "127.0.0.1:0",
                "--log",
                EVERYTHING_OF_OURS,
            ])
            .env("GATEKEY_JWT", &self.jwt)
            .stdout(Stdio::piped())
            .stderr(new_log().1)
            .spawn()
            .expect("the service's binary can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("an address");
        let service = Service::at(address.parse().expect("an address"));
        let pid = child.id();
        HolderProcess { child: Mutex::new(child), pid, service }
    }
}

impl HolderProcess {
    /// A request with this token value. It is sent at once, whether or not the process runs.
    pub fn check(&self, value: &str) -> impl Future<Output = Checked> + Send + 'static + use<> {
        let (service, value) = (self.service.clone(), value.to_owned());
        async move { service.check(value).await }
    }

    /// To the service.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.service.channel.clone()
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
