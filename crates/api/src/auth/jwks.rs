//! An issuer's public keys: a JWK set (RFC 7517) from a file or a URL, kept fresh.
//!
//! An unknown key id has the set read again, at a bounded rate and by one caller at a time, so that a
//! new key works at once and a flood of made-up key ids does not become a flood at the issuer. A key id is
//! refused only if it is not in a set whose reading began after its caller came: while the rate forbids to
//! look, nobody can tell.
//!
//! Keys stay in use while an issuer is down, but not for ever: a day after the last read that succeeded
//! nobody can tell any more. Keys that were given directly can't change: they never age.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use gatekey_core::fail;
use jsonwebtoken::Algorithm;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use tracing::Instrument;

use super::AuthError;
use super::jwks_source::{JwksAccess, JwksSource, Source};
use super::verifying_key::{VerifyingKey, parse_set};

/// Between two reads of a set lies at least this much, whatever callers present.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// A set older than this is read again before it is used, so that withdrawn keys go out of use.
pub(super) const MAX_AGE: Duration = Duration::from_mins(10);
/// A set that nobody could read again for this long proves nothing any more.
pub(super) const HARD_AGE: Duration = Duration::from_hours(24);
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// An issuer whose last read failed less than this ago is not waited for: one that hangs must not slow
/// down callers whose keys are known. Longer than an interval and a fetch, so that callers who keep coming
/// wait only once in an outage.
pub(super) const OUTAGE_NEWS: Duration = Duration::from_secs(20);
const _: () = assert!(OUTAGE_NEWS.as_secs() > MIN_INTERVAL.as_secs() + FETCH_TIMEOUT.as_secs());

pub(super) struct Keys {
    source: Source,
    current: RwLock<KeySet>,
    /// When the last read was begun. Locked while the set is read.
    last_attempt: Arc<Mutex<Option<Instant>>>,
}

#[derive(Default)]
struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    /// Which read gave the keys.
    generation: u64,
    /// Counts the reads that began.
    begun: u64,
    read_at: Option<Instant>,
    /// When the last read failed, unless it succeeded.
    failed_at: Option<Instant>,
}

enum Lookup {
    Fresh(Arc<VerifyingKey>),
    Stale(Arc<VerifyingKey>),
    /// No such key, or none that may still be used.
    Unknown,
}

impl Keys {
    pub(super) async fn open(source: JwksSource, access: JwksAccess) -> Result<Self, String> {
        let source = Source::open(source, access)?;
        let keys = Self { source, current: RwLock::default(), last_attempt: Arc::default() };
        if !matches!(keys.source, Source::Url { .. }) {
            keys.read().await?;
        }
        Ok(keys)
    }

    /// Which set of keys it is; nothing while that is to be read first.
    pub(super) fn generation(&self) -> Option<u64> {
        let set = self.set();
        self.is_fresh(&set).then_some(set.generation)
    }

    /// The key of this id, for this algorithm if several have the id; without an id, the only key that
    /// there is.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<VerifyingKey>, AuthError> {
        let begun_before = self.set().begun;
        match self.look_up(id, algorithm) {
            Lookup::Fresh(key) => return Ok(key),
            Lookup::Stale(key) if self.is_outage_known() => {
                // If the lock is taken, the set is being read already.
                if let Ok(last_attempt) = Arc::clone(&self.last_attempt).try_lock_owned() {
                    drop(self.start_read(last_attempt));
                }
                return Ok(key);
            }
            Lookup::Unknown if self.source.is_fixed() => return Err(unknown(id)),
            Lookup::Stale(_) | Lookup::Unknown => {}
        }
        self.refresh().await;
        // Before the look-up: what it does not find was not in this read or a later one.
        let generation = self.set().generation;
        match self.look_up(id, algorithm) {
            // An issuer that is down does not take back the keys that it gave out before.
            Lookup::Fresh(key) | Lookup::Stale(key) => Ok(key),
            Lookup::Unknown if generation > begun_before => Err(unknown(id)),
            Lookup::Unknown => Err(AuthError::CannotTell),
        }
    }

    fn look_up(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup {
        let set = self.set();
        let found = match id {
            Some(_) => {
                let named = || set.keys.iter().filter(|key| key.id.as_deref() == id);
                named().find(|key| key.algorithms.contains(&algorithm)).or_else(|| named().next())
            }
            None => set.keys.first().filter(|_| set.keys.len() == 1),
        };
        match found {
            Some(key) if self.is_fresh(&set) => Lookup::Fresh(Arc::clone(key)),
            Some(key) if set.is_younger_than(HARD_AGE) => Lookup::Stale(Arc::clone(key)),
            _ => Lookup::Unknown,
        }
    }

    fn is_fresh(&self, set: &KeySet) -> bool {
        self.source.is_fixed() || set.is_younger_than(MAX_AGE)
    }

    /// Whether the last read failed, and so short a while ago that the next one would hardly do better.
    fn is_outage_known(&self) -> bool {
        self.set().failed_at.is_some_and(|failed_at| failed_at.elapsed() < OUTAGE_NEWS)
    }

    /// Reads the set again unless that was tried a moment ago, after any read that goes on.
    async fn refresh(self: &Arc<Self>) {
        let last_attempt = Arc::clone(&self.last_attempt).lock_owned().await;
        if let Some(reading) = self.start_read(last_attempt) {
            // However it ended: what it read, if anything, is in the set.
            let _ = reading.await;
        }
    }

    /// Starts to read the set again unless that was tried a moment ago, as a task of its own: a caller who
    /// hangs up must not end what others wait for.
    fn start_read(
        self: &Arc<Self>,
        mut last_attempt: OwnedMutexGuard<Option<Instant>>,
    ) -> Option<tokio::task::JoinHandle<()>> {
        if last_attempt.is_some_and(|at| at.elapsed() < MIN_INTERVAL) {
            return None;
        }
        *last_attempt = Some(Instant::now());
        let keys = Arc::clone(self);
        let span = self.source.span();
        Some(tokio::spawn(async move {
            let read = keys.read().instrument(span.clone()).await;
            if read.is_err() {
                fail(&span, "_OTHER");
            }
            drop(span);
            if let Err(cause) = read {
                tracing::warn!(cause, "an issuer's keys can't be read");
                keys.set_mut().failed_at = Some(Instant::now());
            }
            drop(last_attempt);
        }))
    }

    /// Reads the set; one read at a time, so that the numbers of reads tell which began later.
    async fn read(&self) -> Result<(), String> {
        let generation = {
            let mut set = self.set_mut();
            set.begun += 1;
            set.begun
        };
        let keys = parse_set(&self.source.read().await?)?.into_iter().map(Arc::new).collect();
        let read_at = Some(Instant::now());
        *self.set_mut() = KeySet { keys, generation, begun: generation, read_at, failed_at: None };
        Ok(())
    }

    fn set(&self) -> RwLockReadGuard<'_, KeySet> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mut(&self) -> RwLockWriteGuard<'_, KeySet> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(id: Option<&str>) -> AuthError {
    AuthError::Refused(match id {
        Some(_) => "its key (kid) is not one of the issuer's",
        None => "it names no key (kid), and its issuer has more than one",
    })
}

impl KeySet {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.read_at.is_some_and(|read_at| read_at.elapsed() < age)
    }
}
