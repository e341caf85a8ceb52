//! Negative answers, bounded in number and age, and apart from the positive ones: a flood of unknown tokens
//! must never push out a good one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::{Digest, Moment};

/// Tokens that the primary did not know or knew to be revoked.
///
/// They need no lease: a random value that does not exist never comes to exist, and a revoked one never
/// comes back, unless history forks, which a Reset tells. They are kept for one lease at most, so that a
/// false one does no harm for long. An expired token never enters: expiry is read off the wall clock.
/// `T` is what is known of each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Negatives<T = ()> {
    entries: BTreeMap<Digest, (Moment, T)>,
    // In order of age: every entry lives equally long.
    queue: VecDeque<Digest>,
    capacity: usize,
    life: Duration,
}

impl<T> Negatives<T> {
    /// An empty cache for this many tokens, each for `life`, which is at most one lease.
    #[must_use]
    pub const fn new(capacity: usize, life: Duration) -> Self {
        Self { entries: BTreeMap::new(), queue: VecDeque::new(), capacity, life }
    }

    /// Whether this token is known to be no good.
    #[must_use]
    pub fn contains(&self, digest: &Digest, now: Moment) -> bool {
        self.get(digest, now).is_some()
    }

    /// What is known of this token, if it is known to be no good.
    #[must_use]
    pub fn get(&self, digest: &Digest, now: Moment) -> Option<&T> {
        self.entries.get(digest).filter(|(until, _)| now < *until).map(|(_, known)| known)
    }

    /// Remembers that a token is no good, as the answer to a question sent at `asked` says.
    pub fn insert(&mut self, digest: Digest, asked: Moment, known: T) {
        self.tick(asked);
        if self.capacity == 0 || self.entries.contains_key(&digest) {
            return;
        }
        while self.queue.len() >= self.capacity {
            if let Some(oldest) = self.queue.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(digest, (asked.plus(self.life), known));
        self.queue.push_back(digest);
    }

    /// Forgets those whose time is over.
    pub fn tick(&mut self, now: Moment) {
        while let Some(oldest) = self.queue.front() {
            if self.entries.get(oldest).is_some_and(|(until, _)| now < *until) {
                return;
            }
            self.entries.remove(oldest);
            self.queue.pop_front();
        }
    }

    /// Forgets all: a Reset came.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_in_number_and_age() {
        let at = Moment::from_nanos;
        let digest = |byte| Digest([byte; 32]);
        let mut negatives = Negatives::new(2, Duration::from_nanos(10));
        for byte in 1..=3 {
            negatives.insert(digest(byte), at(u64::from(byte)), byte);
        }
        assert!(!negatives.contains(&digest(1), at(3)));
        assert_eq!(negatives.get(&digest(2), at(11)), Some(&2));
        assert!(!negatives.contains(&digest(2), at(12)));
        negatives.tick(at(12));
        assert_eq!(negatives.queue, [digest(3)]);
        negatives.insert(digest(3), at(13), 4);
        assert_eq!(
            negatives.get(&digest(3), at(14)),
            Some(&4),
            "one whose time is over makes room for the new one"
        );
        negatives.clear();
        assert!(!negatives.contains(&digest(3), at(3)));
    }
}
