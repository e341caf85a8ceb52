//! An issuer's public keys: a JWK set (RFC 7517) from a file or a URL, kept fresh.
//!
//! An unknown key id has the set read again, at a bounded rate and by one caller at a time, so that a
//! new key works at once and a flood of made-up key ids does not become a flood at the issuer.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::AuthError;
use super::verifying_key::{VerifyingKey, parse_set};
use crate::is_loopback_authority;

/// Between two reads of a set lies at least this much, whatever callers present.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// A set older than this is read again before it is used, so that withdrawn keys go out of use.
pub(super) const MAX_AGE: Duration = Duration::from_mins(10);
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// An issuer whose last read failed less than this ago is not waited for: one that hangs must not slow
/// down callers whose keys are known. Longer than an interval and a fetch, so that callers who keep coming
/// wait only once in an outage.
pub(super) const OUTAGE_NEWS: Duration = Duration::from_secs(20);
const _: () = assert!(OUTAGE_NEWS.as_secs() > MIN_INTERVAL.as_secs() + FETCH_TIMEOUT.as_secs());
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Where a JWK set is.
#[derive(Clone, Debug)]
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// Behind a URL: `https`, or `http` on loopback.
    Url(reqwest::Url),
    /// Given directly, for the server's own key in development mode.
    Inline(String),
}

pub(super) struct Keys {
    source: Source,
    current: RwLock<KeySet>,
    refresh: Arc<Mutex<Refresh>>,
}

/// A [`JwksSource`] that can be read.
enum Source {
    File(PathBuf),
    Url(reqwest::Url, reqwest::Client),
    Inline(String),
}

#[derive(Default)]
struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    /// Counts the reads that succeeded.
    generation: u64,
    read_at: Option<Instant>,
    /// When the last read failed, unless it succeeded.
    failed_at: Option<Instant>,
}

#[derive(Default)]
struct Refresh {
    last_attempt: Option<Instant>,
    failed: bool,
}

enum Lookup {
    Fresh(Arc<VerifyingKey>),
    Stale(Arc<VerifyingKey>),
    Unknown,
}

impl Keys {
    pub(super) async fn open(source: JwksSource) -> Result<Self, String> {
        let source = Source::open(source)?;
        let keys = Self { source, current: RwLock::default(), refresh: Arc::default() };
        if !matches!(keys.source, Source::Url(..)) {
            keys.adopt(&keys.source.read().await?)?;
        }
        Ok(keys)
    }

    /// Which set of keys it is; nothing while that is to be read first.
    pub(super) fn generation(&self) -> Option<u64> {
        let set = self.current.read().unwrap_or_else(PoisonError::into_inner);
        set.is_fresh().then_some(set.generation)
    }

    /// The key of this id, for this algorithm if several have the id; without an id, the only key that
    /// there is.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<VerifyingKey>, AuthError> {
        match self.look_up(id, algorithm) {
            Lookup::Fresh(key) => return Ok(key),
            Lookup::Stale(key) if self.is_outage_known() => {
                // If the lock is taken, the set is being read already.
                if let Ok(refresh) = Arc::clone(&self.refresh).try_lock_owned() {
                    drop(self.start_read(refresh));
                }
                return Ok(key);
            }
            Lookup::Stale(_) | Lookup::Unknown => {}
        }
        let last_read_failed = self.refresh().await;
        match self.look_up(id, algorithm) {
            // An issuer that is down does not take back the keys that it gave out before.
            Lookup::Fresh(key) | Lookup::Stale(key) => Ok(key),
            Lookup::Unknown if last_read_failed => Err(AuthError::CannotTell),
            Lookup::Unknown if id.is_none() => {
                Err(AuthError::Refused("it names no key (kid), and its issuer has more than one"))
            }
            Lookup::Unknown => Err(AuthError::Refused("its key (kid) is not one of the issuer's")),
        }
    }

    fn look_up(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup {
        let set = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let found = match id {
            Some(_) => {
                let named = || set.keys.iter().filter(|key| key.id.as_deref() == id);
                named().find(|key| key.algorithms.contains(&algorithm)).or_else(|| named().next())
            }
            None => set.keys.first().filter(|_| set.keys.len() == 1),
        };
        match found {
            Some(key) if set.is_fresh() => Lookup::Fresh(Arc::clone(key)),
            Some(key) => Lookup::Stale(Arc::clone(key)),
            None => Lookup::Unknown,
        }
    }

    /// Whether the last read failed, and so short a while ago that the next one would hardly do better.
    fn is_outage_known(&self) -> bool {
        let set = self.current.read().unwrap_or_else(PoisonError::into_inner);
        set.failed_at.is_some_and(|failed_at| failed_at.elapsed() < OUTAGE_NEWS)
    }

    /// Reads the set again unless that was tried a moment ago. Says whether the last try failed.
    async fn refresh(self: &Arc<Self>) -> bool {
        match self.start_read(Arc::clone(&self.refresh).lock_owned().await) {
            Ok(reading) => reading.await.unwrap_or(true),
            Err(last_read_failed) => last_read_failed,
        }
    }

    /// Starts to read the set again, as a task of its own: a caller who hangs up must not end what others
    /// wait for. If that was tried a moment ago, says whether it failed instead.
    fn start_read(
        self: &Arc<Self>,
        mut refresh: OwnedMutexGuard<Refresh>,
    ) -> Result<tokio::task::JoinHandle<bool>, bool> {
        if refresh.last_attempt.is_some_and(|at| at.elapsed() < MIN_INTERVAL) {
            return Err(refresh.failed);
        }
        *refresh = Refresh { last_attempt: Some(Instant::now()), failed: true };
        let keys = Arc::clone(self);
        Ok(tokio::spawn(async move {
            refresh.failed = keys.read_again().await.is_err();
            refresh.failed
        }))
    }

    async fn read_again(&self) -> Result<(), String> {
        let read = self.source.read().await.and_then(|text| self.adopt(&text));
        if let Err(cause) = &read {
            tracing::warn!(cause, "an issuer's keys can't be read");
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            current.failed_at = Some(Instant::now());
        }
        read
    }

    fn adopt(&self, text: &str) -> Result<(), String> {
        let keys = parse_set(text)?.into_iter().map(Arc::new).collect();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.generation + 1;
        *current = KeySet { keys, generation, read_at: Some(Instant::now()), failed_at: None };
        Ok(())
    }
}

impl KeySet {
    fn is_fresh(&self) -> bool {
        self.read_at.is_some_and(|read_at| read_at.elapsed() < MAX_AGE)
    }
}

impl Source {
    fn open(source: JwksSource) -> Result<Self, String> {
        match source {
            JwksSource::File(path) => Ok(Self::File(path)),
            JwksSource::Inline(text) => Ok(Self::Inline(text)),
            JwksSource::Url(url) => {
                // Made for URLs only: it can't be made where the system has no root certificates.
                let client = client_for(&url).map_err(|cause| format!("{url}: {cause}"))?;
                Ok(Self::Url(url, client))
            }
        }
    }

    async fn read(&self) -> Result<String, String> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::File(path) => {
                tokio::fs::read_to_string(path).await.map_err(|error| format!("{}: {error}", path.display()))
            }
            Self::Url(url, client) => fetch(url, client).await.map_err(|error| format!("{url}: {error}")),
        }
    }
}

/// Keys that someone on the way could exchange prove nothing: so `https`, or not over a network at all.
fn client_for(url: &reqwest::Url) -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder()
        .timeout(FETCH_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gatekey/", env!("CARGO_PKG_VERSION")));
    let client = match url.scheme() {
        "https" => client.https_only(true),
        "http" if url.host_str().is_some_and(is_loopback_authority) => client.no_proxy(),
        _ => return Err("keys come by https, or by http from loopback".to_owned()),
    };
    client.build().map_err(|error| error.to_string())
}

async fn fetch(url: &reqwest::Url, client: &reqwest::Client) -> Result<String, String> {
    let text = |error: reqwest::Error| error.without_url().to_string();
    let mut response = client.get(url.clone()).send().await.map_err(text)?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes"));
        }
    }
    String::from_utf8(body).map_err(|error| error.to_string())
}
