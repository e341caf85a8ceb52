//! A simple map of positive answers. When one may be used or enter is decided in the files beside this one.

use std::collections::BTreeMap;

use crate::{Digest, Permit, WallTime};

/// Positive answers by digest, at most as many as its capacity.
///
/// It says nothing about leases: see [`may_use`](crate::may_use).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cache<T> {
    entries: BTreeMap<Digest, (WallTime, T)>,
    capacity: usize,
}

impl<T> Cache<T> {
    /// An empty cache for this many tokens.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { entries: BTreeMap::new(), capacity }
    }

    /// What is known of a token, with its expiry.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<(WallTime, &T)> {
        self.entries.get(digest).map(|(expires, token)| (*expires, token))
    }

    /// Puts an answer in. When the cache is full, another entry makes room: the next one by digest, which
    /// is as good as random.
    pub fn insert(&mut self, _permit: Permit<'_>, digest: Digest, expires: WallTime, token: T) {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&digest) {
            let next = self.entries.range(digest..).next().or_else(|| self.entries.iter().next());
            let Some(evicted) = next.map(|(digest, _)| *digest) else { return };
            self.entries.remove(&evicted);
        }
        self.entries.insert(digest, (expires, token));
    }

    /// Drops revoked tokens.
    pub fn drop_all(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.entries.remove(digest);
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many tokens it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Begun, Flights, Nonce, Position, Rules, Seq};

    fn insert(cache: &mut Cache<u8>, byte: u8) {
        let mut flights = Flights::new(Rules::ALL);
        let start = Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(1) };
        let digest = Digest([byte; 32]);
        let Begun::Lead(id) = flights.begin(digest, Some(start), true) else { panic!("nobody asked before") };
        let permit = flights.end(id, true).expect("untainted");
        cache.insert(permit, digest, WallTime(9), byte);
    }

    #[test]
    fn it_is_bounded_and_forgets_what_was_revoked() {
        let mut cache = Cache::new(2);
        for byte in [1, 2, 2, 3] {
            insert(&mut cache, byte);
        }
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.get(&Digest([3; 32])), Some((WallTime(9), &3)));
        cache.drop_all(&[Digest([3; 32])]);
        assert_eq!(cache.get(&Digest([3; 32])), None);
        cache.clear();
        assert!(cache.is_empty());
    }

    #[test]
    fn a_cache_for_nothing_holds_nothing() {
        let mut cache = Cache::new(0);
        insert(&mut cache, 1);
        assert!(cache.is_empty());
    }
}
