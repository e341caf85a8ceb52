//! A holder's stream to a replica, whichever it is: Hello, Renew, and what it carries out and confirms.

use std::sync::Arc;

use super::{Asked, Holder, HolderEffect};
use crate::{Digest, Down, Epoch, Hello, HolderId, Moment, Position, Rule, Up};

/// How many unanswered Renews are remembered: more than are sent in one lease.
const REMEMBERED: usize = 8;

impl Holder {
    /// A new stream is ready to carry its first message, to any replica. What still comes on an older one
    /// must not be told to the holder.
    ///
    /// The lease was for the old stream and ends here, *before* the Hello: the replica takes the Hello for
    /// the end of the old session.
    pub fn connected(&mut self) -> Vec<HolderEffect> {
        self.stream += 1;
        self.resets = 0;
        self.released = false;
        self.asked.clear();
        let mut effects = Vec::new();
        if self.rules.keep(Rule::HelloEndsLease) {
            self.lease_until = Moment::NEVER;
            effects.push(HolderEffect::Lease(Moment::NEVER));
        }
        let hello =
            Hello { holder: self.id, number: self.stream, position: self.position, epoch: self.epoch };
        effects.push(HolderEffect::Send(Up::Hello(hello)));
        effects
    }

    /// Asks for a lease, and notes when. Nothing after a Release, until the next stream.
    pub fn renew(&mut self, now: Moment) -> Vec<HolderEffect> {
        if self.released {
            return Vec::new();
        }
        self.renews += 1;
        let id = self.renews;
        self.asked.push_back(Asked { id, sent: now });
        if self.asked.len() > REMEMBERED {
            self.asked.pop_front();
        }
        vec![HolderEffect::Send(Up::Renew { id, reset: self.resets })]
    }

    /// The replica said something on the current stream.
    pub fn receive(&mut self, now: Moment, message: Down) -> Vec<HolderEffect> {
        match message {
            Down::Invalidate { position, digests } => self.invalidate(position, digests),
            Down::Reset { id, position, epoch } => self.reset(id, position, epoch),
            Down::Grant { id, ttl } => {
                let Some(sent) = self.answered_renew(id) else { return Vec::new() };
                let from = if self.rules.keep(Rule::GrantFromSending) { sent } else { now };
                self.lease(self.lease_until.max(from.plus(ttl)))
            }
            // As any Release: after it nobody waits for this holder where it was.
            Down::Leave => self.release(),
        }
    }

    /// Flights first, then the cache, then the Ack. So what the Ack confirms is true when it is sent, and
    /// invariant (4) holds: nothing in the cache, or on its way into it, is covered by a seq ≤ `position`.
    fn invalidate(&mut self, position: Position, digests: Arc<[Digest]>) -> Vec<HolderEffect> {
        self.flights.invalidate(&digests);
        self.position = Some(position);
        vec![HolderEffect::Drop(digests), self.ack(position)]
    }

    /// The lease ends with the history that it was for. The new position may lie before what others have
    /// confirmed already, so that an answer of then is let in which they take for dropped: under a grant from
    /// after the Reset it is told again, under an older one it never would be.
    fn reset(&mut self, id: u64, position: Position, epoch: Epoch) -> Vec<HolderEffect> {
        let mut effects = Vec::new();
        if self.rules.keep(Rule::ResetEndsLease) {
            self.asked.clear();
            effects.extend(self.lease(Moment::NEVER));
        }
        self.flights.reset();
        self.position = Some(position);
        self.epoch = epoch;
        self.resets = id;
        effects.extend([HolderEffect::Clear, self.ack(position)]);
        effects
    }

    fn ack(&self, position: Position) -> HolderEffect {
        HolderEffect::Send(Up::Ack { position, reset: self.resets })
    }

    /// When the Renew was sent that this grant answers. A grant that answers none counts for nothing.
    fn answered_renew(&mut self, id: u64) -> Option<Moment> {
        if id == 0 && !self.rules.keep(Rule::GrantsAnswer) {
            return self.asked.back().map(|asked| asked.sent);
        }
        let place = self.asked.iter().position(|asked| asked.id == id)?;
        self.asked.drain(..=place).next_back().map(|asked| asked.sent)
    }

    /// Gracefully ends: its own lease is zero *before* the Release is sent, so that nobody waits for it.
    pub fn release(&mut self) -> Vec<HolderEffect> {
        self.released = true;
        self.asked.clear();
        let mut effects = self.lease(Moment::NEVER);
        effects.push(HolderEffect::Send(Up::Release));
        effects
    }

    /// The clock did not count a pause of the machine: whatever is cached may be stale. The lease ends; open
    /// a new stream afterwards.
    ///
    /// It goes on under a new id: this may be a copy of a holder that still runs, and a Hello under the id of
    /// that one would take the session away under which its lease is waited for.
    pub fn reset_all(&mut self, id: HolderId) -> Vec<HolderEffect> {
        self.id = id;
        self.stream = 0;
        // Nothing is asked for on a stream of before.
        self.released = true;
        self.flights.reset();
        self.asked.clear();
        self.position = None;
        self.epoch = Epoch(0);
        let mut effects = self.lease(Moment::NEVER);
        effects.push(HolderEffect::Clear);
        effects
    }

    fn lease(&mut self, until: Moment) -> Vec<HolderEffect> {
        self.lease_until = until;
        vec![HolderEffect::Lease(until)]
    }
}
