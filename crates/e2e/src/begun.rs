//! A server that was started and need not be ready: what it says meanwhile.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;

use crate::{ROOMY, Server};

/// A server that was started. Killed when dropped.
#[derive(Debug)]
pub struct Begun {
    /// The server, at the addresses that it was given.
    pub server: Server,
    first_line: Receiver<String>,
}

impl Begun {
    pub(crate) fn new(server: Server, first_line: Receiver<String>) -> Self {
        Self { server, first_line }
    }

    /// Waits until its process is alive, as health has it.
    ///
    /// # Panics
    /// If it does not come to life.
    pub async fn lives(&mut self) {
        let begun = Instant::now();
        while self.health("").await != Some(ServingStatus::Serving) {
            assert!(begun.elapsed() < ROOMY, "it does not come to life: {}", self.server.log());
            tokio::task::yield_now().await;
        }
    }

    /// Waits until its log says this.
    ///
    /// # Panics
    /// If it does not.
    pub async fn logs(&self, text: &str) {
        let begun = Instant::now();
        while !self.server.log().contains(text) {
            assert!(begun.elapsed() < ROOMY, "it does not log {text:?}: {}", self.server.log());
            tokio::task::yield_now().await;
        }
    }

    /// What its health says of a name; nothing while nobody answers.
    pub async fn health(&self, service: &str) -> Option<ServingStatus> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = self.server.stranger().health().check(request).await;
        answer.ok().map(|answer| answer.get_ref().status())
    }

    /// Whether it has said nothing on standard output yet, and still may.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.first_line.try_recv(), Err(TryRecvError::Empty))
    }

    /// Waits until it says that it listens.
    ///
    /// # Panics
    /// If it ends instead.
    #[must_use]
    pub fn listening(self) -> Server {
        let Self { server, first_line } = self;
        server.once_it_listens(&first_line).unwrap_or_else(|why| panic!("the server did not start: {why}"))
    }
}
