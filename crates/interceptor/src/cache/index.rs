//! Which tokens stand in the cache, and who goes when it is full.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gatekey_lease::Digest;
use indexmap::IndexSet;

use crate::known::Known;

/// Good tokens, for those who write, under the lock: which there are, and who goes when it is full.
#[derive(Debug)]
pub(crate) struct Index {
    pub(super) tokens: IndexSet<ByDigest, foldhash::fast::RandomState>,
    /// The hand of CLOCK, Corbató 1968: a token that was looked up since it came by stays for another round.
    hand: usize,
    pub(super) capacity: usize,
}

#[derive(Debug)]
pub(super) struct ByDigest(pub(super) Arc<Known>);

impl Index {
    /// For so many tokens.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { tokens: IndexSet::with_hasher(foldhash::fast::RandomState::default()), hand: 0, capacity }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<&Arc<Known>> {
        self.tokens.get(digest).map(|known| &known.0)
    }

    /// Whether this very token stands in it.
    pub(crate) fn holds(&self, known: &Arc<Known>) -> bool {
        self.get(&known.digest).is_some_and(|there| Arc::ptr_eq(there, known))
    }

    /// How many tokens it holds.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// One that was not looked up for a whole round, or the first to be met again. There has to be one.
    pub(super) fn least_used(&mut self) -> Digest {
        loop {
            self.hand = if self.hand < self.tokens.len() { self.hand } else { 0 };
            let known = &self.tokens[self.hand].0;
            if !known.used.swap(false, Ordering::Relaxed) {
                return known.digest;
            }
            self.hand += 1;
        }
    }
}

impl Borrow<Digest> for ByDigest {
    fn borrow(&self) -> &Digest {
        &self.0.digest
    }
}

impl Hash for ByDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl PartialEq for ByDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for ByDigest {}
