//! When something last went wrong with the server, so that no connection from before is trusted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection that was used this recently is taken to be alive: a ping before every use would
/// double the round trips of a verification.
const FRESH: Duration = Duration::from_secs(1);

/// When something last went wrong. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<Instant>>>);

impl Trouble {
    /// Something went wrong just now: a restart or a cut has likely ended the other connections too.
    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection that has been idle for so long may be used without a ping.
    pub(crate) fn trusts(&self, idle_for: Duration) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle_for < FRESH && noted.is_none_or(|noted| noted.elapsed() > idle_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusts_what_was_used_just_now_and_since_the_trouble() {
        let trouble = Trouble::default();
        assert!(trouble.trusts(Duration::ZERO));
        assert!(!trouble.trusts(FRESH));
        trouble.note();
        assert!(!trouble.trusts(FRESH / 2));
        *trouble.0.lock().expect("not poisoned") = Instant::now().checked_sub(FRESH / 2);
        assert!(trouble.trusts(FRESH / 4));
    }
}
