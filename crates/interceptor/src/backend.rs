//! Who is asked for a token that the cache does not know, and on which runtime.

use gatekey_lease::{Digest, Position};
use gatekey_proto::v1::VerifyTokenResponse;
use tokio::runtime::Handle;

#[cfg(any(test, feature = "test-util"))]
use crate::fake::World;
use crate::remote::Remote;
use crate::shared::Shared;

/// The runtime is the interceptor's own: it neither waits for the service's nor ends with it.
pub(crate) struct Backend {
    runtime: Handle,
    source: Source,
}

pub(crate) enum Source {
    /// Servers of Gatekey's.
    Servers(Box<Remote>),
    /// A test's own.
    #[cfg(any(test, feature = "test-util"))]
    Fake(World),
}

impl Backend {
    pub(crate) fn new(runtime: Handle, source: Source) -> Self {
        Self { runtime, source }
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Asks for a token, by its digest: the value never leaves the service. Nothing if nobody can tell.
    pub(crate) async fn ask(
        &self,
        shared: &Shared,
        digest: Digest,
        position: Option<Position>,
    ) -> Option<VerifyTokenResponse> {
        match &self.source {
            Source::Servers(remote) => remote.ask(shared, digest, position).await,
            #[cfg(any(test, feature = "test-util"))]
            Source::Fake(world) => world.ask(digest),
        }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn world(&self) -> Option<&World> {
        match &self.source {
            Source::Servers(_) => None,
            Source::Fake(world) => Some(world),
        }
    }
}
