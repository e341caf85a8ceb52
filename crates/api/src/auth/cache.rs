//! Remembers callers whose JWT was checked, so that a busy caller's signature is not checked each time.
//!
//! An entry holds until the JWT expires or the issuer's keys change, whichever comes first, and not
//! while those keys wait to be read again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use gatekey_core::Caller;
use gatekey_model::Timestamp;
use sha2::{Digest, Sha256};

use super::is_over;

/// As many JWTs as this; a full cache begins anew, as they are short-lived anyway.
const CAPACITY: usize = 4_096;

/// A digest, so that the cache holds no credentials.
type Key = [u8; 32];

struct Entry {
    caller: Arc<Caller>,
    issuer: usize,
    generation: u64,
}

#[derive(Default)]
pub(super) struct CallerCache {
    entries: RwLock<HashMap<Key, Entry>>,
}

impl CallerCache {
    pub(super) fn get(
        &self,
        token: &str,
        now: Timestamp,
        generation_of: impl Fn(usize) -> Option<u64>,
    ) -> Option<Arc<Caller>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&key(token))?;
        let good =
            generation_of(entry.issuer) == Some(entry.generation) && !is_over(entry.caller.expires, now);
        good.then(|| Arc::clone(&entry.caller))
    }

    pub(super) fn insert(&self, token: &str, caller: Arc<Caller>, issuer: usize, generation: u64) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key(token), Entry { caller, issuer, generation });
    }
}

fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}
