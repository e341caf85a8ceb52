//! What the interceptor tells of itself: its trouble, its events, and how it stands.

use std::sync::{Arc, PoisonError};

use super::Shared;
use crate::{Event, Health};

/// How much of a path is told.
const PATH: usize = 128;

impl Shared {
    /// Something went wrong between here and the servers: each text is said once, until there is a lease again.
    pub(crate) fn trouble(&self, what: &str) {
        let now = self.clock.moment();
        let mut state = self.lock();
        let what: Arc<str> = what.into();
        if state.told.is_new(now, &what) {
            state.events.push_back(Event::Trouble { what: Arc::clone(&what) });
        }
        state.trouble = Some(what);
    }

    /// To the log and to whoever listens: not under the state's lock, since both are the service's.
    pub(super) fn tell(&self, event: Event) {
        match &event {
            Event::Leased { endpoint } => {
                tracing::info!(endpoint = &**endpoint, "leased: good tokens are answered from memory");
            }
            Event::LeaseLost => tracing::info!("the lease is over: every token is verified by a server"),
            Event::Trouble { what } => {
                tracing::warn!(trouble = &**what, "Gatekey can't be reached as it should");
            }
            Event::Reset | Event::Revoked { .. } => {}
        }
        // If nobody listens, nobody has to be told.
        self.events.send(event).ok();
    }

    /// A route without an access rule was refused. The client chose the path.
    pub(crate) fn unruled(&self, path: &str) {
        let path = &path[..path.floor_char_boundary(PATH)];
        let mut unruled = self.unruled.lock().unwrap_or_else(PoisonError::into_inner);
        let new = unruled.is_new(self.clock.moment(), path);
        drop(unruled);
        if new {
            tracing::warn!(path, "a route without an access rule was refused");
        }
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
