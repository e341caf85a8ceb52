//! The state under its lock. What is to be said of what was done under it is said once the lock is free: who listens is
//! the service's own code, which may take its time, ask for the health, or panic.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};

use super::{Shared, State};

/// The lock, held.
pub(crate) struct Held<'a> {
    shared: &'a Shared,
    /// Until it is dropped.
    state: Option<MutexGuard<'a, State>>,
}

impl Shared {
    pub(crate) fn lock(&self) -> Held<'_> {
        Held { shared: self, state: Some(self.state.lock().expect("nothing under this lock panics")) }
    }

    /// For those who clean up, on their way out of a panic as well.
    pub(crate) fn lock_anyway(&self) -> Held<'_> {
        Held { shared: self, state: Some(self.state.lock().unwrap_or_else(PoisonError::into_inner)) }
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state.as_ref().expect("held until it is dropped")
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_mut().expect("held until it is dropped")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        // One at a time, so that what came first is told first. A second panic would end the process: the next tells it.
        if state.telling || state.events.is_empty() || std::thread::panicking() {
            return;
        }
        state.telling = true;
        while let Some(event) = state.events.pop_front() {
            drop(state);
            // This may be the thread that keeps the lease: it does not end with whoever listens.
            catch_unwind(AssertUnwindSafe(|| self.shared.tell(event))).ok();
            state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        }
        state.telling = false;
    }
}
