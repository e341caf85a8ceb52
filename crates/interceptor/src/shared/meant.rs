//! What a message of the server meant to whoever keeps the stream. What it meant to the cache is done by then.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// A lease of this length.
    Lease(Duration),
    /// The cache begins anew: a Renew from before is void.
    Reset,
    /// The server asks it to go elsewhere, and it has released its lease.
    Leave,
    Nothing,
}
