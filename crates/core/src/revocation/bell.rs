//! The bell: wakes the line when others have revoked, and the deletes that wait when others have confirmed. What it
//! misses, the polls find.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::debug;

use super::shared::Shared;
use crate::{Bell, Ring};

/// How long to wait before a bell is opened again.
const RETRY: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(5);
/// For how long a silent bell is trusted to hear.
const TRUSTED: Duration = Duration::from_mins(1);

/// Listens for as long as the replica runs.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        match timeout(LIMIT, shared.store.open_bell()).await {
            Ok(Ok(bell)) => listen(&shared, bell).await,
            Ok(Err(cause)) => debug!(?cause, "no bell: the polls have to do"),
            Err(_) => debug!("no bell in time: the polls have to do"),
        }
        sleep(RETRY).await;
    }
}

async fn listen(shared: &Shared, mut bell: Box<dyn Bell>) {
    // It listens already: what was committed before is found now, and what comes later rings.
    wake(shared);
    shared.waits.poke();
    loop {
        match timeout(TRUSTED, bell.ring()).await {
            Ok(Ok(Ring::Revocation)) => wake(shared),
            Ok(Ok(Ring::Confirmation)) => shared.waits.poke(),
            // Nothing to hear, or a connection that was dropped on its way without a word: a new one tells.
            Err(_) => return,
            Ok(Err(cause)) => {
                debug!(?cause, "the bell broke: the polls have to do until it is open again");
                return;
            }
        }
    }
}

fn wake(shared: &Shared) {
    shared.tell(|machine, _| machine.wake());
}
