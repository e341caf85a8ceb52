//! What a fake knows, and says in place of a server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gatekey_lease::{Digest, Down, Epoch, Nonce, Position, Seq, Up};
use gatekey_proto::v1::{self, Verdict, VerifyTokenResponse};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::shared::Shared;

/// Longer than any test.
const TTL: Duration = Duration::from_hours(24 * 365 * 100);

/// What the fake knows.
#[derive(Default)]
pub(crate) struct World {
    told: Mutex<Told>,
    pub(super) out: AtomicBool,
    /// What is said on the stream that stands for one.
    stream: Mutex<Option<mpsc::UnboundedReceiver<Up>>>,
}

#[derive(Default)]
pub(super) struct Told {
    pub(super) tokens: HashMap<Digest, Made>,
    pub(super) seq: i64,
    resets: u64,
    /// Revoked during an outage.
    pub(super) untold: Vec<Digest>,
}

pub(super) struct Made {
    pub(super) token: v1::Token,
    /// Microseconds since 1970.
    pub(super) expires: i64,
    pub(super) revoked: bool,
    pub(super) now: Clock,
}

impl World {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("nothing under this lock panics")
    }

    pub(crate) fn ask(&self, digest: Digest) -> Option<VerifyTokenResponse> {
        if self.out.load(Ordering::SeqCst) {
            return None;
        }
        let told = self.told();
        let (verdict, token) = match told.tokens.get(&digest) {
            None => (Verdict::Unknown, None),
            Some(made) if made.revoked => (Verdict::Revoked, Some(made.token.clone())),
            Some(made) if made.now.wall().0 >= made.expires => (Verdict::Expired, Some(made.token.clone())),
            Some(made) => (Verdict::Active, Some(made.token.clone())),
        };
        Some(VerifyTokenResponse { verdict: verdict.into(), token, revision: None, cacheable: true })
    }

    /// In place of streams to servers: whoever begins anew is told where the log stands, and gets a lease.
    pub(crate) async fn keep(&self, shared: &Shared) -> Infallible {
        loop {
            shared.reopen.notified().await;
            self.begin(shared);
        }
    }

    pub(super) fn begin(&self, shared: &Shared) {
        let mut stream = self.stream();
        connect(&mut stream, shared);
        let (id, seq) = {
            let mut told = self.told();
            told.resets += 1;
            (told.resets, told.seq)
        };
        shared.receive(Down::Reset { id, position: place(seq), epoch: Epoch(0) });
        if !self.out.load(Ordering::SeqCst) {
            lease(&mut stream, shared);
        }
    }

    /// Begins or ends an outage.
    pub(super) fn outage(&self, begins: bool, shared: &Shared) {
        let mut stream = self.stream();
        self.out.store(begins, Ordering::SeqCst);
        connect(&mut stream, shared);
        if !begins {
            let untold = std::mem::take(&mut self.told().untold);
            self.tell(untold, shared);
            lease(&mut stream, shared);
        }
    }

    pub(super) fn tell(&self, digests: Vec<Digest>, shared: &Shared) {
        let seq = {
            let mut told = self.told();
            told.seq += 1;
            told.seq
        };
        shared.receive(Down::Invalidate { position: place(seq), digests: digests.into() });
    }

    fn stream(&self) -> MutexGuard<'_, Option<mpsc::UnboundedReceiver<Up>>> {
        self.stream.lock().expect("nothing under this lock panics")
    }
}

fn connect(stream: &mut Option<mpsc::UnboundedReceiver<Up>>, shared: &Shared) {
    let (out, said) = mpsc::unbounded_channel();
    *stream = Some(said);
    shared.connected(None, out);
}

/// What was asked for is granted; nothing if it has begun anew meanwhile.
fn lease(stream: &mut Option<mpsc::UnboundedReceiver<Up>>, shared: &Shared) {
    shared.renew();
    let mut asked = None;
    while let Some(said) = stream.as_mut().and_then(|stream| stream.try_recv().ok()) {
        if let Up::Renew { id, .. } = said {
            asked = Some(id);
        }
    }
    if let Some(id) = asked {
        shared.receive(Down::Grant { id, ttl: TTL });
    }
}

pub(super) fn place(seq: i64) -> Position {
    Position { seq: Seq::new(seq).expect("not negative"), nonce: Nonce::from_bits(1) }
}
