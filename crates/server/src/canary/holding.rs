//! The canary's own lease and cache: the holder's machine of `gatekey-lease`, and the map that it rules. Running the
//! stream is left to `stream.rs`.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatekey_core::boottime;
use gatekey_lease::{
    Begun, Cache, Digest, Down, FlightId, Holder, HolderEffect, HolderId, Moment, Position, Rules, WallTime,
    may_use,
};
use gatekey_proto::v1;
use tokio::sync::{mpsc, watch};

use super::wire;

/// Far more than there are tokens at any time.
const CAPACITY: usize = 1_024;

/// Shared by the stream and the rounds.
pub(super) struct Holding {
    state: Mutex<State>,
    /// Until when the lease lives, for those who wait for one.
    lease: watch::Sender<Moment>,
}

struct State {
    machine: Holder,
    cache: Cache<()>,
    /// The current stream.
    out: Option<mpsc::UnboundedSender<v1::WatchRequest>>,
}

/// A verification that may fill the cache.
pub(super) struct Asking<'a> {
    holding: &'a Holding,
    flight: FlightId,
    /// To be sent along.
    pub(super) position: Option<Position>,
}

/// What a message meant to the stream's schedule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// A lease of this length.
    Lease(Duration),
    /// The cache begins anew: a Renew from before is void.
    Reset,
    /// The server asks it to go elsewhere, and it has released its lease.
    Leave,
    Nothing,
}

impl Holding {
    pub(super) fn new(id: HolderId) -> Self {
        let machine = Holder::new(id, Rules::ALL);
        let state = State { machine, cache: Cache::new(CAPACITY), out: None };
        Self { state: Mutex::new(state), lease: watch::Sender::new(Moment::NEVER) }
    }

    /// Waits until there is a lease. May wait for ever.
    pub(super) async fn leased(&self) {
        let mut lease = self.lease.subscribe();
        // The sender is part of `self`, so it can't be gone.
        lease.wait_for(|until| boottime() < *until).await.ok();
    }

    /// Whether the cache says that a token is good.
    pub(super) fn accepts(&self, digest: &Digest) -> bool {
        let state = self.lock();
        // The clock is read after the lock is had.
        let until = state.machine.lease_until();
        state.cache.get(digest).is_some_and(|(expires, ())| may_use(until, boottime(), expires, wall()))
    }

    /// A verification is sent now. Nothing if another is under way for the same token.
    pub(super) fn ask(&self, digest: Digest) -> Option<Asking<'_>> {
        let mut state = self.lock();
        let Begun::Lead(flight) = state.machine.miss(boottime(), digest) else { return None };
        let position = state.machine.send(flight);
        Some(Asking { holding: self, flight, position })
    }

    /// A new stream can carry its first messages: what is to be sent on it.
    pub(super) fn connected(&self) -> mpsc::UnboundedReceiver<v1::WatchRequest> {
        let (out, sent) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.out = Some(out);
        let effects = state.machine.connected();
        self.carry_out(&mut state, effects);
        sent
    }

    pub(super) fn renew(&self) {
        let mut state = self.lock();
        // No later than the message is sent.
        let effects = state.machine.renew(boottime());
        self.carry_out(&mut state, effects);
    }

    pub(super) fn receive(&self, message: Down) -> Meant {
        let ttl = if let Down::Grant { ttl, .. } = message { Some(ttl) } else { None };
        let leave = matches!(message, Down::Leave);
        let mut state = self.lock();
        let effects = state.machine.receive(boottime(), message);
        let granted = effects.iter().any(|effect| matches!(effect, HolderEffect::Lease(_)));
        let reset = effects.contains(&HolderEffect::Clear);
        self.carry_out(&mut state, effects);
        if leave {
            // The Release was the last word.
            state.out = None;
            return Meant::Leave;
        }
        match ttl {
            Some(ttl) if granted => Meant::Lease(ttl),
            _ if reset => Meant::Reset,
            _ => Meant::Nothing,
        }
    }

    /// Uses the cache no more, says so, and ends its part of the stream.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        let effects = state.machine.release();
        self.carry_out(&mut state, effects);
        state.out = None;
    }

    /// In their order, before the machine is told anything else.
    fn carry_out(&self, state: &mut State, effects: Vec<HolderEffect>) {
        for effect in effects {
            match effect {
                // Whoever looks in the cache reads it off the machine, under the same lock.
                HolderEffect::Lease(until) => {
                    self.lease.send_replace(until);
                }
                HolderEffect::Drop(digests) => state.cache.drop_all(&digests),
                HolderEffect::Clear => state.cache.clear(),
                HolderEffect::Send(message) => {
                    if let Some(out) = &state.out {
                        // A stream that broke takes nothing more; its reader sees the end soon.
                        out.send(wire::up(message)).ok();
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing under this lock panics")
    }
}

impl Asking<'_> {
    /// The server's answer is here.
    pub(super) fn answered(self, answer: &v1::VerifyTokenResponse) {
        let expires = answer.token.as_ref().and_then(|token| token.expire_time);
        let Some(expires) = expires.filter(|_| answer.verdict() == v1::Verdict::Active) else { return };
        let mut state = self.holding.lock();
        let State { machine, cache, .. } = &mut *state;
        if let Some(permit) = machine.answered(self.flight, answer.cacheable) {
            cache.insert(permit, self.flight.digest(), micros(expires.seconds, expires.nanos), ());
        }
    }
}

/// However it ends, the flight does.
impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.holding.lock().machine.ended(self.flight);
    }
}

/// Microseconds since 1970.
fn micros(seconds: i64, nanos: i32) -> WallTime {
    WallTime(seconds.saturating_mul(1_000_000).saturating_add(i64::from(nanos / 1_000)))
}

fn wall() -> WallTime {
    // A clock that stands before 1970 lets every token count as expired.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    WallTime(since.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatekey_lease::{Nonce, Seq};

    const TOKEN: Digest = Digest([1; 32]);

    fn place(seq: i64) -> Position {
        Position { seq: Seq::new(seq).expect("not negative"), nonce: Nonce::from_bits(1) }
    }

    fn leased() -> Holding {
        let holding = Holding::new(HolderId(1));
        let mut sent = holding.connected();
        assert!(matches!(
            holding.receive(Down::Reset { id: 1, position: place(0), epoch: gatekey_lease::Epoch(0) }),
            Meant::Reset
        ));
        holding.renew();
        let grant = Down::Grant { id: 1, ttl: Duration::from_hours(1) };
        assert!(matches!(holding.receive(grant), Meant::Lease(_)));
        for _ in ["Hello", "Ack", "Renew"] {
            sent.try_recv().expect("said");
        }
        holding
    }

    fn answer(verdict: v1::Verdict) -> v1::VerifyTokenResponse {
        let expire_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
        let token = Some(v1::Token { expire_time, ..Default::default() });
        v1::VerifyTokenResponse { verdict: verdict.into(), token, revision: None, cacheable: true }
    }

    fn fill(holding: &Holding) {
        let asking = holding.ask(TOKEN).expect("nobody else asks");
        assert_eq!(asking.position, Some(place(0)));
        asking.answered(&answer(v1::Verdict::Active));
    }

    #[test]
    fn a_good_token_is_accepted_until_it_is_revoked() {
        let holding = leased();
        assert!(!holding.accepts(&TOKEN));
        fill(&holding);
        assert!(holding.accepts(&TOKEN));
        let digests = [TOKEN].into();
        holding.receive(Down::Invalidate { position: place(1), digests });
        assert!(!holding.accepts(&TOKEN));
    }

    #[test]
    fn nothing_is_accepted_without_a_lease() {
        let holding = leased();
        fill(&holding);
        let _sent = holding.connected();
        assert!(!holding.accepts(&TOKEN), "a new stream has no lease yet");
        let holding = leased();
        fill(&holding);
        holding.release();
        assert!(!holding.accepts(&TOKEN));
    }

    #[test]
    fn only_a_positive_answer_enters_and_what_was_given_up_is_over() {
        let holding = leased();
        let asking = holding.ask(TOKEN).expect("nobody else asks");
        assert!(holding.ask(TOKEN).is_none());
        drop(asking);
        let asking = holding.ask(TOKEN).expect("nobody else asks any more");
        asking.answered(&answer(v1::Verdict::Revoked));
        assert!(!holding.accepts(&TOKEN));
        let asking = holding.ask(TOKEN).expect("nobody else asks any more");
        asking.answered(&v1::VerifyTokenResponse { cacheable: false, ..answer(v1::Verdict::Active) });
        assert!(!holding.accepts(&TOKEN));
    }

    #[tokio::test]
    async fn a_lease_can_be_waited_for() {
        leased().leased().await;
    }
}
