//! How an interceptor stands, and what happens to it.

use std::sync::Arc;
use std::time::Duration;

/// How an interceptor stands at a moment: see [`Gatekey::health`](crate::Gatekey::health).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long good tokens may be answered from memory, if the lease is not renewed; nothing if there is none.
    pub lease_left: Option<Duration>,
    /// The server that the stream leads to, if there is one.
    pub endpoint: Option<Arc<str>>,
    /// Where the cache stands in the log of revocations, for people; nothing before the first stream.
    pub position: Option<String>,
    /// How many good tokens are in memory.
    pub cached_tokens: usize,
    /// How many tokens have open streams under them, or had a moment ago.
    pub guarded_tokens: usize,
    /// How many verifications are under way.
    pub verifying: usize,
    /// What went wrong last; nothing once a server has granted a lease, or answered under one.
    pub trouble: Option<Arc<str>>,
}

impl Health {
    /// Whether good tokens are answered from memory.
    #[must_use]
    pub const fn is_leased(&self) -> bool {
        self.lease_left.is_some()
    }
}

/// Something that happened to an interceptor: see [`Gatekey::events`](crate::Gatekey::events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is a lease again.
    Leased {
        /// By the server there.
        endpoint: Arc<str>,
    },
    /// The lease is over: each token is verified by a server.
    LeaseLost,
    /// The cache began anew: history forked, or this was away for too long.
    Reset,
    /// A token that was in memory was revoked.
    Revoked {
        /// Its id.
        id: i64,
        /// The public part of its value.
        key: Box<str>,
    },
    /// Something is wrong between here and the servers.
    Trouble {
        /// For people.
        what: Arc<str>,
    },
}
