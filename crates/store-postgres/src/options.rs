//! How a Postgres store is reached and how long it may take. Where the values come from is the
//! server's affair.

use std::fmt;
use std::time::Duration;

/// How to reach Postgres, and how long it may take to answer.
///
/// `Debug` shows neither the password nor the rest of the URL.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=verify-full`, as libpq knows it.
    pub url: String,
    /// What stands between here and the server at that URL.
    pub pooler: Pooler,
    /// The same database past the pooler, for what a pooler does not carry: the leases' renewals on a connection of
    /// their own, LISTEN, and migrations. Without it renewals share the pooler, nobody listens, and migrations are
    /// refused.
    pub direct_url: Option<String>,
    /// The most connections to hold for verifications. Everything else has connections of its own: up to as
    /// many, but no more than eight, for other calls (a revocation holds one while it waits for those before
    /// it), one for each [`open_line`](gatekey_core::LeaseStore::open_line), and one for each
    /// [`open_bell`](gatekey_core::LeaseStore::open_bell).
    pub max_connections: u32,
    /// How many connections of each of the two kinds are kept open when there is nothing to do.
    pub min_connections: u32,
    /// How long an operation may take altogether, the wait for a connection included. It holds even
    /// when the network swallows everything; after it the answer is "unavailable".
    pub operation_timeout: Duration,
    /// How long to wait for a connection, be it for a free one or for a new one.
    pub acquire_timeout: Duration,
    /// How long a statement may wait for a lock, on the server's clock.
    pub lock_timeout: Duration,
}

impl PostgresOptions {
    /// The database at this URL, everything else by default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pooler: Pooler::None,
            direct_url: None,
            max_connections: 16,
            min_connections: 1,
            operation_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(3),
        }
    }
}

/// What stands between here and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or what hands on a whole session.
    None,
    /// A pooler that hands each transaction to whichever session is free, as `PgBouncer` does with
    /// `pool_mode = transaction`.
    Transaction,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("pooler", &self.pooler)
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("operation_timeout", &self.operation_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .finish_non_exhaustive()
    }
}
