//! What the server says of its own health, to probes of every kind.

use tokio::sync::watch;

/// Where in its life the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the store to be there, and for its schema to be as it should.
    Starting,
    /// It can do all that it is for.
    Serving,
    /// It runs, but the store does not answer (any more).
    StoreUnavailable,
    /// It is about to end, and serves whoever has not heard of that yet.
    Leaving,
    /// It finishes what runs and takes nothing new.
    Draining,
}

/// The server's phase, shared by all who tell it.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Sender<Phase>);

impl Readiness {
    /// Starts in this phase.
    #[must_use]
    pub fn new(phase: Phase) -> Self {
        Self(watch::Sender::new(phase))
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Follows the phase.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Enters a phase; says whether it is another than before. There is no way back from the end.
    #[expect(clippy::must_use_candidate, reason = "it is called for its effect")]
    pub fn enter(&self, phase: Phase) -> bool {
        self.0.send_if_modified(|current| {
            let change = current.may_become(phase);
            if change {
                *current = phase;
            }
            change
        })
    }
}

impl Phase {
    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Draining => false,
            Self::Leaving => next == Self::Draining,
            Self::Starting | Self::Serving | Self::StoreUnavailable => next != self,
        }
    }

    /// Whether the process is alive and means to stay so. Never a matter of the store.
    #[must_use]
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Draining)
    }

    /// Whether calls should be sent here.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Serving)
    }

    /// The phase in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "waiting for the store",
            Self::Serving => "serving",
            Self::StoreUnavailable => "the store is unavailable",
            Self::Leaving | Self::Draining => "shutting down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_is_the_end() {
        let readiness = Readiness::new(Phase::Starting);
        assert!(readiness.enter(Phase::Serving));
        assert!(!readiness.enter(Phase::Serving));
        assert!(readiness.enter(Phase::Leaving));
        assert!(!readiness.enter(Phase::Serving));
        assert!(!readiness.enter(Phase::StoreUnavailable));
        assert!(readiness.enter(Phase::Draining));
        assert!(!readiness.enter(Phase::Leaving));
        assert!(!readiness.enter(Phase::Serving));
        assert_eq!(readiness.phase(), Phase::Draining);
    }
}
