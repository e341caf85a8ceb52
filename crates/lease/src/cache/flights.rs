//! Verifications under way, and whether their answers may enter the cache. Sending them is left to others.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::{Digest, Position, Rule, Rules};

/// One of several flights for the same digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId {
    digest: Digest,
    number: u32,
}

impl FlightId {
    /// Which token it asks for.
    #[must_use]
    pub const fn digest(self) -> Digest {
        self.digest
    }
}

/// What a request that missed the cache has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Begun {
    /// Ask: it leads a flight of its own.
    Lead(FlightId),
    /// Wait for this flight and take its result: it had not been sent when the request came.
    Share(FlightId),
    /// Wait for this flight, and then look in the cache again.
    LookAgain(FlightId),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    start: Option<Position>,
    sent: bool,
    tainted: bool,
}

/// The verifications under way.
///
/// Invariant (4), *what is cached is not covered by any seq ≤ `applied`*, is kept here: an answer enters
/// only if its snapshot contains the flight's start and no invalidation of its digest came since.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flights {
    rules: Rules,
    flights: BTreeMap<FlightId, Flight>,
}

/// Leave to put one answer into the cache.
///
/// It borrows the flights, so that the map is written before they can be told of the next invalidation.
#[derive(Debug)]
pub struct Permit<'a>(PhantomData<&'a mut Flights>);

impl Flights {
    /// None under way.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self { rules, flights: BTreeMap::new() }
    }

    /// A request missed the cache. `start` is where the cache stands now; `leased` is whether its lease lives.
    ///
    /// Followers never take a flight's result, which would be a cache without a lease. A flight that has
    /// not been sent may be shared, since what it reads is read after this request came. Without a lease the
    /// cache can't be looked in again, so then a flight that was sent is not waited for.
    pub fn begin(&mut self, digest: Digest, start: Option<Position>, leased: bool) -> Begun {
        let last = self.of(digest).next_back().map(|(id, flight)| (*id, flight.sent));
        match last {
            Some((id, false)) => return Begun::Share(id),
            Some((id, true)) if !self.rules.keep(Rule::FollowersLookAgain) => return Begun::Share(id),
            Some((id, true)) if leased => return Begun::LookAgain(id),
            _ => {}
        }
        let id = FlightId { digest, number: last.map_or(0, |(last, _)| last.number.wrapping_add(1)) };
        self.flights.insert(id, Flight { start, sent: false, tainted: false });
        Begun::Lead(id)
    }

    /// The leader sends its question now; the position to send along with it.
    pub fn send(&mut self, id: FlightId) -> Option<Position> {
        let flight = self.flights.get_mut(&id)?;
        flight.sent = true;
        flight.start
    }

    /// The leader has its answer. `contains_start` is whether the log that the answer was read from
    /// contains the very entry that was sent along (`cacheable` on the wire).
    ///
    /// With a permit the answer goes into the cache, now; without one the answer serves its leader only.
    #[must_use]
    pub fn end(&mut self, id: FlightId, contains_start: bool) -> Option<Permit<'_>> {
        let flight = self.flights.remove(&id)?;
        let of_now = contains_start || !self.rules.keep(Rule::AsOfContainsStart);
        let untainted = !flight.tainted || !self.rules.keep(Rule::TaintedStaysOut);
        (flight.start.is_some() && of_now && untainted).then_some(Permit(PhantomData))
    }

    /// The leader gave up.
    pub fn abandon(&mut self, id: FlightId) {
        self.flights.remove(&id);
    }

    /// Whether this flight is still under way.
    #[must_use]
    pub fn under_way(&self, id: FlightId) -> bool {
        self.flights.contains_key(&id)
    }

    /// These tokens were revoked: what is under way for them stays out. Before the cache drops them.
    pub fn invalidate(&mut self, digests: &[Digest]) {
        for digest in digests {
            let range =
                FlightId { digest: *digest, number: 0 }..=FlightId { digest: *digest, number: u32::MAX };
            for (_, flight) in self.flights.range_mut(range) {
                flight.tainted = true;
            }
        }
    }

    /// The cache begins anew: all that is under way stays out.
    pub fn reset(&mut self) {
        if self.rules.keep(Rule::ResetTaints) {
            for flight in self.flights.values_mut() {
                flight.tainted = true;
            }
        }
    }

    fn of(&self, digest: Digest) -> impl DoubleEndedIterator<Item = (&FlightId, &Flight)> {
        self.flights.range(FlightId { digest, number: 0 }..=FlightId { digest, number: u32::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nonce, Seq};

    const TOKEN: Digest = Digest([1; 32]);
    const OTHER: Digest = Digest([2; 32]);
    const START: Option<Position> = Some(Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(1) });

    fn sent(flights: &mut Flights) -> FlightId {
        let Begun::Lead(id) = flights.begin(TOKEN, START, true) else { panic!("nobody asked before") };
        assert_eq!(flights.send(id), START);
        id
    }

    #[test]
    fn an_answer_enters_once_if_it_is_of_now_and_untainted() {
        let mut flights = Flights::new(Rules::ALL);
        let id = sent(&mut flights);
        flights.invalidate(&[OTHER]);
        assert!(flights.end(id, true).is_some());
        assert!(flights.end(id, true).is_none());
        let id = sent(&mut flights);
        assert!(flights.end(id, false).is_none());
    }

    #[test]
    fn invalidations_and_resets_taint() {
        let mut flights = Flights::new(Rules::ALL);
        let id = sent(&mut flights);
        flights.invalidate(&[OTHER, TOKEN]);
        assert!(flights.end(id, true).is_none());
        let id = sent(&mut flights);
        flights.reset();
        assert!(flights.end(id, true).is_none());
    }

    #[test]
    fn nothing_enters_a_cache_that_stands_nowhere() {
        let mut flights = Flights::new(Rules::ALL);
        let Begun::Lead(id) = flights.begin(TOKEN, None, false) else { panic!("nobody asked before") };
        assert!(flights.end(id, true).is_none());
    }

    #[test]
    fn only_a_flight_that_was_not_sent_is_shared() {
        let mut flights = Flights::new(Rules::ALL);
        let Begun::Lead(first) = flights.begin(TOKEN, START, true) else { panic!("nobody asked before") };
        assert_eq!(flights.begin(TOKEN, START, false), Begun::Share(first));
        flights.send(first);
        assert_eq!(flights.begin(TOKEN, START, true), Begun::LookAgain(first));
        let Begun::Lead(second) = flights.begin(TOKEN, START, false) else { panic!("no lease, no waiting") };
        assert_ne!(first, second);
        flights.abandon(first);
        assert!(flights.under_way(second) && !flights.under_way(first));
        assert!(matches!(flights.begin(OTHER, START, true), Begun::Lead(_)));
    }
}
