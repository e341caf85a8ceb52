//! A protected service as other teams run them: the example service with the real interceptor in front. Which checks are
//! made when, and what they prove, is left to others.

mod call;
mod process;
mod stream;

use std::net::SocketAddr;

use gatekey_interceptor::Gatekey;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tonic::transport::Channel;

pub use process::HolderProcess;
pub use stream::OpenStream;

use call::Service;

const CACHED_TOKENS: usize = 4_096;

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

/// An outcome, how it came about, and when: in nanoseconds of [`boottime`](crate::boottime), as the client has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What became of it.
    pub outcome: Outcome,
    /// It was accepted from the service's memory.
    pub cached: bool,
    /// When the request was sent.
    pub invoked: u64,
    /// When it was answered.
    pub returned: u64,
}

/// How a service is to be started.
#[derive(Clone, Debug)]
pub struct HolderStart {
    /// The replicas, each under the address at which this service reaches it. At least one.
    pub endpoints: Vec<SocketAddr>,
    /// A verifier's.
    pub jwt: String,
}

/// A service in this process. Dropped, it is gone as if it had crashed.
#[derive(Debug)]
pub struct TestHolder {
    gatekey: Gatekey,
    service: Service,
    server: AbortHandle,
    address: SocketAddr,
}

impl HolderStart {
    /// The replicas as the interceptor has them.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.endpoints.iter().map(|address| format!("http://{address}")).collect()
    }

    /// Starts it in this process.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(&self) -> TestHolder {
        // As many as a test has tokens: to drop a slot of the cache costs a look at every thread of the process, of which a
        // fleet has a hundred.
        let builder = Gatekey::builder(self.endpoints()).bearer(&self.jwt).capacity(CACHED_TOKENS);
        let gatekey = builder.connect().expect("good settings");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let listener = TcpListener::from_std(listener).expect("a socket");
        let serving = gatekey_examples::serve_grpc(listener, gatekey.clone(), std::future::pending());
        let server = tokio::spawn(serving).abort_handle();
        TestHolder { gatekey, service: Service::at(address), server, address }
    }
}

impl TestHolder {
    /// A request comes with this token value.
    ///
    /// # Panics
    /// If the service answers what it can't.
    pub async fn check(&self, value: &str) -> Checked {
        self.service.check(value.to_owned()).await
    }

    /// Whether its cache may be used now.
    #[must_use]
    pub fn leased(&self) -> bool {
        self.gatekey.health().is_leased()
    }

    /// Where the service listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// To the service.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.service.channel.clone()
    }

    /// The interceptor itself.
    #[must_use]
    pub const fn gatekey(&self) -> &Gatekey {
        &self.gatekey
    }

    /// Takes its leave, so that nobody waits for it. It goes on without a lease.
    pub async fn release(&self) {
        self.gatekey.shutdown().await;
    }
}

impl Drop for TestHolder {
    fn drop(&mut self) {
        self.server.abort();
        self.gatekey.crash();
    }
}
