//! A replica's own answers: when it may say that a token is good. The store's statement and the map are left to
//! others.

use super::{Effect, Replica};
use crate::{Begun, Digest, FlightId, Moment, Permit, Position, Rule};

/// Leave to answer from the replica's own cache, if the token is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromCache {
    /// Where the cache stands: the answer's `revision`.
    pub position: Position,
    /// Whether a holder may cache the answer.
    pub cacheable: bool,
}

/// A read that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    flight: FlightId,
    /// Where the replica stood when it was sent: ask the store whether its log contains this entry.
    pub position: Position,
    generation: u32,
    asked: bool,
}

/// What a read's answer is good for.
#[derive(Debug)]
pub struct ReadAnswer<'a> {
    /// Whether a holder may cache it.
    pub cacheable: bool,
    /// Leave to put it into the replica's own cache.
    pub permit: Option<Permit<'a>>,
}

/// A positive answer can't be given: UNAVAILABLE. A negative one from the primary can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl Replica {
    /// Whether its own cache may be looked in now. Ask *before* looking, so that `position` is not newer
    /// than what is found. `asked` is the position that the holder sent along.
    #[must_use]
    pub fn from_cache(&self, now: Moment, asked: Option<Position>) -> Option<FromCache> {
        if !self.leased(now) && self.rules.keep(Rule::VerifyUnderLease) {
            return None;
        }
        Some(FromCache { position: self.tail.newest()?, cacheable: self.contains(asked) })
    }

    /// Whether what the replica knows contains the very entry at which a holder stands.
    fn contains(&self, asked: Option<Position>) -> bool {
        asked.is_some_and(|asked| {
            if self.rules.keep(Rule::AsOfByPosition) {
                self.tail.holds(asked)
            } else {
                self.tail.newest().is_some_and(|newest| asked.seq <= newest.seq)
            }
        })
    }

    /// Sends a read to the store: token, head, and whether the log contains [`Read::position`], in *one*
    /// statement. `None` without a lease: then no answer of it could be positive, and it need not be asked.
    pub fn send_read(&mut self, now: Moment, digest: Digest, asked: Option<Position>) -> Option<Read> {
        if !self.leased(now) && self.rules.keep(Rule::VerifyUnderLease) {
            return None;
        }
        let position = self.tail.newest()?;
        let asked = self.contains(asked);
        // Each read is a flight of its own: here nobody shares one.
        let flight = match self.flights.begin(digest, Some(position), false) {
            Begun::Lead(flight) | Begun::Share(flight) | Begun::LookAgain(flight) => flight,
        };
        self.flights.send(flight);
        Some(Read { flight, position, generation: self.pool.generation, asked })
    }

    /// The store said that the token is good. `contains` is whether its log contains [`Read::position`].
    ///
    /// It is good only if the lease lived when the read was sent *and* lives now, the connection that it
    /// came through was not closed as an old one, and the snapshot contains what the replica had applied
    /// when it sent the read.
    pub fn read_positive(
        &mut self,
        now: Moment,
        read: Read,
        contains: bool,
    ) -> Result<ReadAnswer<'_>, Refused> {
        let leased = self.leased(now) || !self.rules.keep(Rule::VerifyUnderLease);
        let current = read.generation == self.pool.generation;
        let of_now = contains || !self.rules.keep(Rule::ReadContainsApplied);
        let permit = self.flights.end(read.flight, contains);
        if leased && current && of_now {
            Ok(ReadAnswer { cacheable: read.asked && contains, permit })
        } else {
            Err(Refused)
        }
    }

    /// The store said that the token is not good, or did not answer.
    pub fn read_ended(&mut self, read: Read) {
        self.flights.abandon(read.flight);
    }

    /// A holder stands where the replica does not yet: it catches up.
    #[must_use]
    pub fn behind(&self, asked: Position) -> Option<Effect> {
        let newest = self.tail.newest()?;
        (newest.seq < asked.seq).then_some(Effect::ReadLog { from: newest.seq })
    }
}
