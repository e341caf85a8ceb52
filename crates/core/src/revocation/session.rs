//! A holder's session, as the transport sees it: messages in, messages out, in order. Streams and encoding are left
//! to the transport.

use std::sync::Arc;

use gatekey_lease::{Down, Replica, StreamId, Up};
use tokio::sync::mpsc;

use super::shared::Shared;

/// How many messages may wait for a slow reader. Each is at most 8 KiB and shared among all sessions.
const QUEUE: usize = 256;

/// One stream of a holder. When it is dropped, the stream counts as broken, and the holder's grants run on.
pub struct Session {
    shared: Arc<Shared>,
    stream: StreamId,
    queue: mpsc::Receiver<Down>,
}

impl Session {
    pub(super) fn open(shared: Arc<Shared>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let stream = shared.with(|state, _| {
            state.streams += 1;
            let stream = StreamId(state.streams);
            state.queues.insert(stream, sender);
            stream
        });
        Self { shared, stream, queue }
    }

    /// The holder said this.
    pub fn receive(&self, message: Up) {
        self.shared.tell(|machine, now| machine.receive(now, self.stream, message));
    }

    /// Asks the holder to go on elsewhere, after all that is to be said before.
    pub fn dismiss(&self) {
        self.shared.tell(|_, _| vec![Replica::dismiss(self.stream)]);
    }

    /// What is to be said to the holder next; nothing if the stream is to end. May be given up at any time.
    pub async fn next(&mut self) -> Option<Down> {
        self.queue.recv().await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.with(|state, now| {
            state.queues.remove(&self.stream);
            let effects = state.machine.broken(now, self.stream);
            state.apply(now, effects);
        });
    }
}
