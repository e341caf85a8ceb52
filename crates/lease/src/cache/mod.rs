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
/// Both clocks are read after the request arrived. The lease may come from an atomic that the holder's
/// thread writes ([`Moment::nanos`]); look in the map after reading it or before, that makes no difference:
/// a revocation is confirmed only after it left the map and a lease that is given up is zeroed first.
#[inline]
#[must_use]
pub const fn may_use(lease_until: Moment, now: Moment, expires: WallTime, wall: WallTime) -> bool {
    now.nanos() < lease_until.nanos() && wall.0 < expires.0
}
