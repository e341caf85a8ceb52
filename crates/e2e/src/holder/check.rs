//! A request with a token: answered from the cache under a lease, and by a server otherwise.

use std::sync::Arc;

use gatekey_lease::{Begun, Digest, FlightId, WallTime, may_use};
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{Verdict, VerifyTokenRequest, VerifyTokenResponse};
use sha2::Digest as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::shared::{Sent, Shared, State};
use super::{Checked, Outcome, PATIENCE, wire};
use crate::boottime;

/// What a look at the cache says.
enum Look {
    Known(Outcome),
    Lead(Leading),
    /// Wait for another's flight, and take its outcome.
    Share(watch::Receiver<Option<Outcome>>),
    /// Wait for another's flight, and look again.
    Again(watch::Receiver<Option<Outcome>>),
}

/// Leads a flight. If it is given up on the way, those who wait for it are told.
struct Leading {
    shared: Arc<Shared>,
    flight: FlightId,
    /// Its id may be another flight's by now.
    landed: bool,
}

impl Shared {
    pub(super) async fn check(self: &Arc<Self>, value: &str) -> Checked {
        let invoked = boottime();
        let (outcome, cached) = self.decide(value).await;
        Checked { outcome, cached, invoked, returned: boottime() }
    }

    async fn decide(self: &Arc<Self>, value: &str) -> (Outcome, bool) {
        let digest = Digest(sha2::Sha256::digest(value).into());
        loop {
            match self.look(digest) {
                Look::Known(outcome) => return (outcome, true),
                Look::Lead(leading) => return (leading.fly(value).await, false),
                Look::Share(mut flight) => {
                    let landed = flight.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome);
                    if let Some(outcome) = landed {
                        return (outcome, false);
                    }
                }
                // Either way it is over.
                Look::Again(mut flight) => drop(flight.changed().await),
            }
        }
    }

    fn look(self: &Arc<Self>, digest: Digest) -> Look {
        let mut state = self.lock();
        // After the request came, and no earlier than the lock is had.
        let now = self.clock.now();
        let until = state.machine.lease_until();
        if let Some((expires, ())) = state.cache.get(&digest)
            && may_use(until, now, expires, wall())
        {
            state.counts.cached += 1;
            return Look::Known(Outcome::Accepted);
        }
        state.negatives.tick(now);
        if state.negatives.contains(&digest, now) {
            return Look::Known(Outcome::Rejected);
        }
        match state.machine.miss(now, digest) {
            Begun::Lead(flight) => {
                state.flights.insert(flight, watch::Sender::new(None));
                Look::Lead(Leading { shared: Arc::clone(self), flight, landed: false })
            }
            Begun::Share(flight) => Look::Share(state.flights[&flight].subscribe()),
            Begun::LookAgain(flight) => Look::Again(state.flights[&flight].subscribe()),
        }
    }

    /// Asks the endpoint of the stream first, and then the others.
    async fn ask(&self, value: &str, sent: Sent) -> Option<VerifyTokenResponse> {
        let first = self.lock().endpoint;
        for number in 0..self.endpoints.len() {
            let client = &self.endpoints[(first + number) % self.endpoints.len()];
            let request = VerifyTokenRequest {
                credential: Some(Credential::TokenValue(value.to_owned())),
                position: sent.position.map(wire::position),
                ..Default::default()
            };
            if let Ok(Ok(answer)) = timeout(PATIENCE, client.verify_with(request)).await {
                return Some(answer);
            }
        }
        None
    }
}

impl Leading {
    async fn fly(mut self, value: &str) -> Outcome {
        // Others who come now may share the flight: it has not been sent.
        tokio::task::yield_now().await;
        let sent = {
            let mut state = self.shared.lock();
            let now = self.shared.clock.now();
            state.send(self.flight, now)
        };
        let answer = self.shared.ask(value, sent).await;
        let mut state = self.shared.lock();
        let outcome = match &answer {
            Some(answer) => state.take(self.flight, sent, answer),
            None => Outcome::CannotTell,
        };
        state.machine.ended(self.flight);
        state.landed(self.flight, Some(outcome));
        self.landed = true;
        outcome
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        if !self.landed {
            self.shared.give_up(self.flight);
        }
    }
}

impl State {
    fn take(&mut self, flight: FlightId, sent: Sent, answer: &VerifyTokenResponse) -> Outcome {
        match answer.verdict() {
            Verdict::Active => {
                let expires = answer.token.as_ref().and_then(|token| token.expire_time);
                let expires = expires.expect("a good token expires");
                let expires = WallTime(expires.seconds * 1_000_000 + i64::from(expires.nanos / 1_000));
                if let Some(permit) = self.machine.answered(flight, answer.cacheable) {
                    self.cache.insert(permit, flight.digest(), expires, ());
                }
                Outcome::Accepted
            }
            Verdict::Unknown | Verdict::Revoked => {
                // Of this history: a Reset may tell that history forked.
                if sent.resets == self.counts.resets {
                    self.negatives.insert(flight.digest(), sent.at, ());
                }
                Outcome::Rejected
            }
            Verdict::Expired | Verdict::WrongType | Verdict::Malformed => Outcome::Rejected,
            Verdict::Unspecified => panic!("a verdict is never unspecified"),
        }
    }
}

/// In microseconds since 1970.
fn wall() -> WallTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    WallTime(i64::try_from(since.as_micros()).expect("before the year 292000"))
}
