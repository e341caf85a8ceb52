//! A holder of leases as a protected service would have one: the lease crate's machine over real streams, with
//! a cache. Which checks are made when, and what they prove, is left to others.

mod check;
mod line;
mod process;
mod shared;
mod stream;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::timeout;

pub use line::serve;
pub use process::HolderProcess;
pub use shared::Counts;

use crate::{Clock, ROOMY};
use shared::Shared;

/// What became of a request with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The token is good.
    Accepted,
    /// It is not.
    Rejected,
    /// Nobody could be asked.
    CannotTell,
}

/// An outcome, how it came about, and when: in nanoseconds of [`boottime`](crate::boottime).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What became of it.
    pub outcome: Outcome,
    /// No server was asked.
    pub cached: bool,
    /// When the request came.
    pub invoked: u64,
    /// When it was answered.
    pub returned: u64,
}

/// How a holder is to be started.
#[derive(Clone, Debug)]
pub struct HolderStart {
    /// The replicas, each under the address at which this holder reaches it. At least one.
    pub endpoints: Vec<SocketAddr>,
    /// The one to which it opens its first stream.
    pub first: usize,
    /// A verifier's.
    pub jwt: String,
}

/// A holder in this process. Dropped, it is gone as if it had crashed.
#[derive(Debug)]
pub struct TestHolder {
    shared: Arc<Shared>,
    stream: AbortHandle,
}

impl HolderStart {
    /// Starts it in this process.
    #[must_use]
    pub fn start(self) -> TestHolder {
        self.start_with(Clock::default())
    }

    /// Starts it in this process, with a clock of its own.
    #[must_use]
    pub fn start_with(self, clock: Clock) -> TestHolder {
        let first = self.first;
        let shared = Arc::new(Shared::new(&self, clock));
        let stream = tokio::spawn(stream::run(Arc::clone(&shared), first)).abort_handle();
        TestHolder { shared, stream }
    }
}

impl TestHolder {
    /// A request came with this token value.
    ///
    /// # Panics
    /// If the server broke the contract.
    pub async fn check(&self, value: &str) -> Checked {
        assert!(!self.stream.is_finished() || self.shared.left(), "the stream's task panicked");
        self.shared.check(value).await
    }

    /// Whether its cache may be used now.
    #[must_use]
    pub fn leased(&self) -> bool {
        self.shared.leased()
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Ends gracefully: with a Release, so that nobody waits for it. It goes on without a lease.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn release(&self) {
        self.shared.leave();
        timeout(ROOMY, self.shared.ended()).await.expect("in time");
    }
}

impl Drop for TestHolder {
    fn drop(&mut self) {
        self.stream.abort();
    }
}

/// How long an endpoint is waited for: less than the shortest lease.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
