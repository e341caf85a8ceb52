//! The rules of a cache of answers: when an entry may be used, and what may enter.
//!
//! The rules are apart from the map, so that a holder can bring a concurrent one. [`Cache`] and
//! [`Negatives`] are simple maps for a replica, for tests and for simulation.

mod flights;
mod map;
mod negatives;

pub use flights::{Begun, FlightId, Flights, Permit};
pub use map::Cache;
pub use negatives::Negatives;

use crate::{Moment, WallTime};

/// Whether an entry that is in the cache may be used: the lease lives and the token has not expired.
/// Nothing else counts.
///
/// The order of reads matters where the map is concurrent: first the lease, then the map. The lease may come from an
/// atomic that the holder's thread writes ([`Moment::nanos`]). A holder that connects anew has given its lease up, so that
/// deletes do not wait for it; what it missed leaves the map before the next lease is written. Who reads the map first and
/// the lease after that can find a token from before and the lease from after. Both clocks are read after the request
/// arrived.
#[inline]
#[must_use]
pub const fn may_use(lease_until: Moment, now: Moment, expires: WallTime, wall: WallTime) -> bool {
    now.nanos() < lease_until.nanos() && wall.0 < expires.0
}
