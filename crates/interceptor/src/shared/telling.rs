//! What the interceptor tells of itself: its trouble, its events, and how it stands.

use std::sync::Arc;

use super::Shared;
use crate::{Event, Health};

impl Shared {
    /// Something went wrong between here and the servers: said once, until it changes.
    pub(crate) fn trouble(&self, what: &str) {
        let mut state = self.lock();
        if state.trouble.as_deref() != Some(what) {
            let what: Arc<str> = what.into();
            state.trouble = Some(Arc::clone(&what));
            drop(state);
            tracing::warn!(trouble = &*what, "Gatekey can't be reached as it should");
            self.tell(Event::Trouble { what });
        }
    }

    /// If nobody listens, nobody has to be told.
    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event).ok();
    }

    pub(crate) fn health(&self) -> Health {
        let now = self.clock.moment();
        let until = self.lease_until();
        let state = self.lock();
        Health {
            lease_left: (now < until).then(|| until.since(now)),
            endpoint: state.endpoint.clone(),
            position: state.machine.position().map(|position| position.to_string()),
            cached_tokens: state.index.len(),
            guarded_tokens: state.guards.len(),
            verifying: state.flights.len(),
            trouble: state.trouble.clone(),
        }
    }
}
