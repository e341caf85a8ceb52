//! A token that is not in the cache, or may not be answered from it: a server is asked, once for all who ask at the same
//! time. What enters the cache, and who may take whose answer, is decided in `gatekey-lease`.

use std::sync::Arc;

use gatekey_lease::{Begun, Digest, FlightId};
use gatekey_proto::v1::{Verdict, VerifyTokenResponse};
use tokio::sync::watch;

use crate::Refusal;
use crate::counters::Count;
use crate::known::Known;
use crate::shared::{Sent, Shared, State};
use crate::traces;

/// What became of a verification.
#[derive(Clone, Debug)]
pub(crate) enum Verified {
    Good(Arc<Known>),
    Bad,
    CannotTell,
}

/// Which token is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) digest: Digest,
    /// That of its value: where it stands in the cache.
    pub(crate) checksum: u32,
}

/// For whom a token is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// A client, who may be one of a flood.
    Request,
    /// What goes on under it already. A flood must not keep it from its end, and there are never many at once.
    Guard,
}

/// What a look under the lock says.
enum Look {
    /// It is in the cache after all.
    Known(Arc<Known>),
    Bad,
    Overloaded,
    /// Wait for this flight, and take its outcome.
    Share(watch::Receiver<Option<Verified>>),
    /// Wait for this flight, and look again.
    Again(watch::Receiver<Option<Verified>>),
}

/// The end of a flight, whatever becomes of it: those who wait are told, and its place is free again.
struct Landing {
    shared: Arc<Shared>,
    flight: FlightId,
    landed: bool,
}

impl Landing {
    /// Under the lock under which the answer was taken, so that no other flight has its id yet.
    fn land(&mut self, state: &mut State, outcome: Verified) {
        self.landed = true;
        state.machine.ended(self.flight);
        if let Some(waiting) = state.flights.remove(&self.flight) {
            waiting.send_replace(Some(outcome));
        }
    }
}

/// It panicked, or its runtime has ended.
impl Drop for Landing {
    fn drop(&mut self) {
        if !self.landed {
            let shared = Arc::clone(&self.shared);
            self.land(&mut shared.lock_anyway(), Verified::CannotTell);
        }
    }
}

async fn fly(mut landing: Landing, checksum: u32) {
    let (shared, flight) = (Arc::clone(&landing.shared), landing.flight);
    let sent = {
        let mut state = shared.lock();
        let at = shared.clock.moment();
        Sent { position: state.machine.send(flight), resets: state.resets, at }
    };
    shared.counters.count(Count::Asked);
    let answer = shared.backend.ask(&shared, flight.digest(), sent.position).await;
    if answer.is_none() {
        shared.counters.count(Count::Unanswered);
    }
    let mut state = shared.lock();
    let outcome = match answer {
        Some(answer) => {
            // Without a lease something is wrong still.
            if state.lost.is_none() {
                state.trouble = None;
            }
            shared.take(&mut state, flight, checksum, sent, &answer)
        }
        None => Verified::CannotTell,
    };
    landing.land(&mut state, outcome);
}

impl Shared {
    /// The whole way of a token that missed the cache.
    pub(crate) async fn verify(self: &Arc<Self>, asked: Asked) -> Result<(Arc<Known>, bool), Refusal> {
        self.verify_for(Whom::Request, asked).await
    }

    /// The same for a token under which something goes on.
    pub(crate) async fn verify_guarded(
        self: &Arc<Self>,
        asked: Asked,
    ) -> Result<(Arc<Known>, bool), Refusal> {
        self.verify_for(Whom::Guard, asked).await
    }

    async fn verify_for(self: &Arc<Self>, whom: Whom, asked: Asked) -> Result<(Arc<Known>, bool), Refusal> {
        loop {
            match self.look(whom, asked) {
                Look::Known(known) => return Ok((known, true)),
                Look::Bad => return Err(Refusal::Invalid),
                Look::Overloaded => return Err(Refusal::Overloaded),
                Look::Share(mut flight) => {
                    let landed =
                        flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
                    return match landed {
                        Some(Verified::Good(known)) => Ok((known, false)),
                        Some(Verified::Bad) => Err(Refusal::Invalid),
                        // No outcome at all: whoever carried it out has ended, and with it all of this.
                        Some(Verified::CannotTell) | None => Err(Refusal::Unverifiable),
                    };
                }
                // Either way it is over.
                Look::Again(mut flight) => drop(flight.wait_for(Option::is_some).await),
            }
        }
    }

    fn look(self: &Arc<Self>, whom: Whom, asked: Asked) -> Look {
        let Asked { digest, checksum } = asked;
        let mut state = self.lock();
        // Read after the lock is had: the request came before.
        let now = self.clock.moment();
        let leased = now < self.lease_until();
        if leased && let Some(known) = state.index.get(&digest) {
            // A token never changes, so what has expired stays so.
            return if self.clock.wall() < known.expires {
                Look::Known(Arc::clone(known))
            } else {
                Look::Bad
            };
        }
        if state.negatives.contains(&digest, now) {
            return Look::Bad;
        }
        let flights = state.flights.len();
        match state.machine.miss(now, digest) {
            Begun::Share(flight) => Look::Share(state.flights[&flight].subscribe()),
            Begun::LookAgain(flight) => Look::Again(state.flights[&flight].subscribe()),
            Begun::Lead(flight) if whom == Whom::Guard || self.limits.allow(flights) => {
                let outcome = watch::Sender::new(None);
                let waiting = outcome.subscribe();
                state.flights.insert(flight, outcome);
                drop(state);
                // Not by the one who asks: if that goes away, the others need not begin anew.
                let landing = Landing { shared: Arc::clone(self), flight, landed: false };
                self.backend.spawn(traces::current(fly(landing, checksum)));
                Look::Share(waiting)
            }
            Begun::Lead(flight) => {
                state.machine.ended(flight);
                Look::Overloaded
            }
        }
    }

    fn take(
        self: &Arc<Self>,
        state: &mut State,
        flight: FlightId,
        checksum: u32,
        sent: Sent,
        answer: &VerifyTokenResponse,
    ) -> Verified {
        match answer.verdict() {
            Verdict::Active => {
                let token = answer.token.as_ref();
                let known = token
                    .map(|token| Known::new(flight.digest(), checksum, token, sent.at, Arc::downgrade(self)));
                let Some(Ok(known)) = known else { return Verified::CannotTell };
                let known = Arc::new(known);
                let State { machine, index, guards, .. } = state;
                guards.verified(&flight.digest(), sent.at);
                let Some(permit) = machine.answered(flight, answer.cacheable) else {
                    return Verified::Good(known);
                };
                // From here on the stream tells of its revocation.
                guards.trust(&flight.digest());
                let known = self.cache.insert(index, permit, known);
                known.verified_again(sent.at);
                Verified::Good(known)
            }
            Verdict::Unknown | Verdict::Revoked => {
                // Of this history: a Reset may tell that history forked.
                if sent.resets == state.resets {
                    state.negatives.insert(flight.digest(), sent.at, ());
                }
                Verified::Bad
            }
            Verdict::Malformed | Verdict::Expired => Verified::Bad,
            // None was required; an unknown verdict tells nothing.
            Verdict::WrongType | Verdict::Unspecified => Verified::CannotTell,
        }
    }
}

#[cfg(test)]
mod tests;
