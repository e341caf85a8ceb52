//! A holder: what a protected service's interceptor keeps beside its cache. Who runs the stream, sends the
//! verifications and owns the map is left to others.

mod stream;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Begun, Digest, Epoch, FlightId, Flights, HolderId, Moment, Permit, Position, Rules, Up};

/// A holder of leases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    id: HolderId,
    rules: Rules,
    /// Its count of its streams; 0 before the first.
    stream: u64,
    position: Option<Position>,
    /// Of the history in which it stands there.
    epoch: Epoch,
    /// The last Reset on this stream.
    resets: u64,
    /// For its stream. The cache survives it, and is only not used.
    lease_until: Moment,
    /// The Renews that have no answer, oldest first.
    asked: VecDeque<Asked>,
    renews: u64,
    flights: Flights,
    /// Nothing is asked for until the next stream.
    released: bool,
}

/// A Renew, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asked {
    id: u64,
    sent: Moment,
}

/// What a holder wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HolderEffect {
    /// From now on the lease lives until then: publish it to whoever checks, before the next effect.
    Lease(Moment),
    /// Drop these from the cache, and signal the streams that they guard.
    Drop(Arc<[Digest]>),
    /// Empty the cache and the negatives, and have every guarded stream's token verified anew.
    Clear,
    /// Say this on the current stream.
    Send(Up),
}

impl Holder {
    /// A holder with an empty cache, no stream and no lease.
    #[must_use]
    pub const fn new(id: HolderId, rules: Rules) -> Self {
        Self {
            id,
            rules,
            stream: 0,
            position: None,
            epoch: Epoch(0),
            resets: 0,
            lease_until: Moment::NEVER,
            asked: VecDeque::new(),
            renews: 0,
            flights: Flights::new(rules),
            released: false,
        }
    }

    /// Until when its cache may be used: see [`may_use`](crate::may_use).
    #[must_use]
    pub const fn lease_until(&self) -> Moment {
        self.lease_until
    }

    /// Where its cache stands: `applied`.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.position
    }

    /// Its count of its streams.
    #[must_use]
    pub const fn stream(&self) -> u64 {
        self.stream
    }

    /// A request missed the cache.
    pub fn miss(&mut self, now: Moment, digest: Digest) -> Begun {
        self.flights.begin(digest, self.position, now < self.lease_until)
    }

    /// The leader of a flight sends its VerifyToken, with this position.
    pub fn send(&mut self, flight: FlightId) -> Option<Position> {
        self.flights.send(flight)
    }

    /// The leader has a positive answer, for itself in any case and, with a permit, for the cache. Write the
    /// map while the permit lives, so that no invalidation comes between.
    #[must_use]
    pub fn answered(&mut self, flight: FlightId, cacheable: bool) -> Option<Permit<'_>> {
        self.flights.end(flight, cacheable)
    }

    /// The leader has a negative answer, or none.
    pub fn ended(&mut self, flight: FlightId) {
        self.flights.abandon(flight);
    }

    /// Whether a flight is still under way: those who wait for it look again when it is not.
    #[must_use]
    pub fn under_way(&self, flight: FlightId) -> bool {
        self.flights.under_way(flight)
    }
}

#[cfg(test)]
mod tests;
