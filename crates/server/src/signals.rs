//! The signals that ask a process to end: SIGTERM and SIGINT. What is done then is left to who listens.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Failure;

pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|cause| Failure::run("signals can't be listened to", cause));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Whether one of either has come.
    pub(crate) async fn came(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.first() => true,
            () = std::future::ready(()) => false,
        }
    }

    /// Waits for the next of either.
    pub(crate) async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
