//! Runs the checker over a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Path};

use super::{Action, Config, Event, World};

/// What an exploration found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The way to a stale accept, if there is one.
    pub(crate) stale: Option<Vec<Action>>,
    /// What happened on the way, and how often.
    pub(crate) events: BTreeMap<Event, u64>,
    pub(crate) states: usize,
    pub(crate) took: Duration,
}

/// Explores a model until it is exhausted or S is broken, and says every ten seconds how far it is.
///
/// Depth first, which needs little more than a fingerprint a state.
pub(crate) fn explore(config: Config, threads: usize) -> Report {
    let started = Instant::now();
    let world = World::new(config);
    let witness = Arc::clone(&world.witness);
    let checker = world.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs();
    let mut said = 0;
    while !checker.is_done() {
        sleep(Duration::from_millis(2));
        let tens = started.elapsed().as_secs() / 10;
        if tens > said {
            said = tens;
            println!("… {} states in {} s", checker.unique_state_count(), 10 * tens);
        }
    }
    let checker = checker.join();
    Report {
        stale: checker.discovery("S").map(Path::into_actions),
        events: witness.counts(),
        states: checker.unique_state_count(),
        took: started.elapsed(),
    }
}
