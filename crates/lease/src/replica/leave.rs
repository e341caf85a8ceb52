//! What holders say to a replica, and its graceful leave.

use std::time::Duration;

use super::{Effect, Replica};
use crate::{Down, Moment, Rule, StreamId, Up};

impl Replica {
    /// A holder said something on a stream.
    pub fn receive(&mut self, now: Moment, stream: StreamId, message: Up) -> Vec<Effect> {
        let mut effects = Vec::new();
        match message {
            Up::Hello(_) if self.leaving => effects.push(Effect::Close { stream }),
            Up::Hello(hello) => {
                effects.extend(self.sessions.hello(stream, hello, self.n));
                effects.extend(self.sessions.settle(now, &self.tail, self.epoch, None));
                if let Some(position) = hello.position {
                    effects.extend(self.behind(position));
                }
            }
            Up::Renew { id, reset } => {
                effects.extend(self.sessions.renew(now, stream, (id, reset), self.left_to_grant(now)));
            }
            Up::Ack { position, reset } => self.sessions.ack(stream, position, reset, &self.tail),
            Up::Release => {
                self.sessions.release(stream);
                effects.push(Effect::Close { stream });
            }
        }
        effects.extend(self.confirm());
        effects
    }

    /// How long a grant may be: what is left of its own lease, and nothing without one.
    fn left_to_grant(&self, now: Moment) -> Duration {
        if !self.leased(now) || self.leaving {
            Duration::ZERO
        } else if self.rules.keep(Rule::TtlWithinLease) {
            self.lease_until.since(now)
        } else {
            self.lease
        }
    }

    /// Grants unasked. No rule of the protocol: the model shows why.
    #[cfg(feature = "mutants")]
    pub fn push_grant(&mut self, now: Moment, stream: StreamId) -> Vec<Effect> {
        let left = self.left_to_grant(now);
        let reset = self.sessions.resets(stream);
        self.sessions.renew(now, stream, (0, reset), left).into_iter().collect()
    }

    /// A stream broke, or was cut off because its reader was too slow.
    pub fn broken(&mut self, now: Moment, stream: StreamId) -> Vec<Effect> {
        self.sessions.broken(now, stream);
        self.tick(now)
    }

    /// Asks a holder to go on at another replica. It answers by a Release, and is waited for no more. One that does not
    /// know of this goes on as before until its stream is closed, or breaks its stream and connects anew, as interceptors
    /// from before `Leave` do: it releases nothing, so its session is waited out.
    #[must_use]
    pub const fn dismiss(stream: StreamId) -> Effect {
        Effect::Send { stream, message: Down::Leave }
    }

    /// The streams of the sessions that are open.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamId> {
        self.sessions.open().collect()
    }

    /// Begins to leave: no grants, no new sessions, no renewals. Its own lease lives on for as long as it does, so
    /// that what is under way is answered. It goes on applying the log and confirming.
    pub fn close_sessions(&mut self, now: Moment) -> Vec<Effect> {
        self.leaving = true;
        let mut effects: Vec<Effect> = self.sessions.open().map(|stream| Effect::Close { stream }).collect();
        effects.extend(self.tick(now));
        effects
    }

    /// Leaves: has no lease of its own any more, and removes its row once no session can use a grant
    /// ([`Effect::RemoveRow`] with its own id).
    pub fn leave(&mut self, now: Moment) -> Vec<Effect> {
        self.lease_until = Moment::NEVER;
        self.close_sessions(now)
    }

    /// Whether it has begun to leave.
    #[must_use]
    pub const fn leaving(&self) -> bool {
        self.leaving
    }

    /// Its own row, once it has left.
    pub(super) fn left(&self, now: Moment) -> Option<Effect> {
        (self.leaving && !self.leased(now) && self.sessions.all_over(now))
            .then_some(Effect::RemoveRow { id: self.id, n: self.n })
    }
}
