//! What a fake knows, and says in place of a server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gatekey_lease::{Digest, Down, Epoch, Nonce, Position, Seq};
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
    renews: Mutex<u64>,
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
        connected(shared);
        let (id, seq) = {
            let mut told = self.told();
            told.resets += 1;
            (told.resets, told.seq)
        };
        shared.receive(Down::Reset { id, position: place(seq), epoch: Epoch(0) });
        if !self.out.load(Ordering::SeqCst) {
            self.lease(shared);
        }
    }

    pub(super) fn lease(&self, shared: &Shared) {
        // One at a time: the ids are counted here as they are there.
        let mut renews = self.renews.lock().expect("nothing under this lock panics");
        *renews += 1;
        shared.renew();
        shared.receive(Down::Grant { id: *renews, ttl: TTL });
    }
}

pub(super) fn connected(shared: &Shared) {
    shared.connected(None, mpsc::unbounded_channel().0);
}

pub(super) fn place(seq: i64) -> Position {
    Position { seq: Seq::new(seq).expect("not negative"), nonce: Nonce::from_bits(1) }
}
