//! The log of revocations: what is read from the store, and the newest part of it that a replica remembers.
//! Reading is left to others.

use std::collections::VecDeque;

use crate::{Digest, Epoch, Position, Rule, Rules, Seq};

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its number and nonce.
    pub position: Position,
    /// The token that it revokes; none in the genesis entry.
    pub revokes: Option<Digest>,
}

/// The head of the log, as one statement reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The newest entry.
    pub position: Position,
    /// The history's epoch.
    pub epoch: Epoch,
}

/// History is another than it was: nothing that was known of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forked;

/// The newest entries that a replica has applied; the last of them is its position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tail {
    entries: VecDeque<Entry>,
    capacity: usize,
}

impl Tail {
    /// Nothing yet; will remember this many entries, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Where the replica stands: `applied` on the design page.
    pub(crate) fn newest(&self) -> Option<Position> {
        self.entries.back().map(|entry| entry.position)
    }

    /// History forked.
    pub(crate) fn forget(&mut self) {
        self.entries.clear();
    }

    /// From where the log has to be read: the replica's own position inclusive, or as much of the log
    /// before this head as is remembered.
    pub(crate) fn read_from(&self, head: Option<Seq>) -> Option<Seq> {
        if let Some(newest) = self.newest() {
            return Some(newest.seq);
        }
        let back = i64::try_from(self.capacity - 1).unwrap_or(i64::MAX);
        Seq::new(head?.get().saturating_sub(back)).or(Some(Seq::GENESIS))
    }

    /// The remembered entry of this number.
    fn at(&self, seq: Seq) -> Option<&Entry> {
        let first = self.entries.front()?.position.seq;
        self.entries.get(usize::try_from(seq.get().checked_sub(first.get())?).ok()?)
    }

    /// The position before this number, if it is remembered.
    pub(crate) fn before(&self, seq: Seq) -> Option<Position> {
        Some(self.at(Seq::new(seq.get().checked_sub(1)?)?)?.position)
    }

    /// Whether this very entry is remembered: by number *and* nonce.
    pub(crate) fn holds(&self, position: Position) -> bool {
        self.at(position.seq).is_some_and(|entry| entry.position == position)
    }

    /// Whether an entry of this number is remembered. Not what anyone should ask.
    pub(crate) fn holds_number(&self, position: Position) -> bool {
        self.at(position.seq).is_some()
    }

    /// The remembered entries after this number.
    pub(crate) fn after(&self, seq: Seq) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.position.seq > seq)
    }

    /// Takes what was read from the log, own position inclusive, and says what was new.
    pub(crate) fn extend(&mut self, read: &[Entry], rules: Rules) -> Result<Vec<Entry>, Forked> {
        let mut new = Vec::new();
        if self.entries.is_empty() {
            new.extend_from_slice(read);
        } else {
            // A log without the replica's own position lost it, or was trimmed past it.
            let reaches =
                |newest: Position| read.first().is_some_and(|first| first.position.seq <= newest.seq);
            if !self.newest().is_some_and(reaches) && rules.keep(Rule::NonceCompared) {
                return Err(Forked);
            }
            for entry in read {
                match self.at(entry.position.seq) {
                    Some(known) if known.position == entry.position => {}
                    Some(_) if !rules.keep(Rule::NonceCompared) => {}
                    // Another history.
                    Some(_) => return Err(Forked),
                    // Older than what is remembered: applied long ago.
                    None if self.newest().is_some_and(|newest| entry.position.seq < newest.seq) => {}
                    None => new.push(*entry),
                }
            }
        }
        let last = self.newest().map(|newest| newest.seq);
        if !follows(last, &new) {
            return Err(Forked);
        }
        self.remember(&new);
        Ok(new)
    }

    /// Remembers the newest of these. The oldest go first: a buffer that takes one in beyond what it may hold
    /// doubles for it, and stays that large.
    fn remember(&mut self, new: &[Entry]) {
        let new = &new[new.len().saturating_sub(self.capacity)..];
        let excess = (self.entries.len() + new.len()).saturating_sub(self.capacity);
        self.entries.drain(..excess);
        self.entries.extend(new);
    }
}

/// Whether these entries come one after the other, and after the last one known.
fn follows(last: Option<Seq>, new: &[Entry]) -> bool {
    let mut last = last;
    for entry in new {
        if last.is_some_and(|last| last.next() != entry.position.seq) {
            return false;
        }
        last = Some(entry.position.seq);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Nonce;

    fn entry(seq: i64, nonce: u64) -> Entry {
        let seq = Seq::new(seq).expect("not negative");
        Entry { position: Position { seq, nonce: Nonce::from_bits(nonce) }, revokes: None }
    }

    fn tail(capacity: usize, entries: &[Entry]) -> Tail {
        let mut tail = Tail::new(capacity);
        tail.extend(entries, Rules::ALL).expect("the first entries fork nothing");
        tail
    }

    #[test]
    fn own_position_is_read_again_and_nothing_is_new_twice() {
        let mut tail = tail(8, &[entry(0, 1)]);
        assert_eq!(tail.extend(&[entry(0, 1), entry(1, 2)], Rules::ALL), Ok(vec![entry(1, 2)]));
        assert_eq!(tail.extend(&[entry(0, 1), entry(1, 2)], Rules::ALL), Ok(vec![]));
        assert_eq!(tail.newest(), Some(entry(1, 2).position));
    }

    #[test]
    fn another_nonce_a_gap_and_a_lost_position_are_forks() {
        let known = tail(8, &[entry(0, 1), entry(1, 2)]);
        // The last one begins where the log was trimmed: whether that is the same history, nobody can tell.
        for read in [&[entry(1, 9)][..], &[entry(1, 2), entry(3, 4)], &[], &[entry(2, 3)]] {
            assert_eq!(known.clone().extend(read, Rules::ALL), Err(Forked), "{read:?}");
        }
    }

    #[test]
    fn a_full_memory_does_not_grow_for_the_next_entry() {
        let capacity = 16;
        let first: Vec<Entry> = (0..16).map(|seq| entry(seq, 1)).collect();
        let mut tail = tail(capacity, &first);
        let room = tail.entries.capacity();
        for seq in 15..100 {
            let read = [entry(seq, 1), entry(seq + 1, 1)];
            tail.extend(&read, Rules::ALL).expect("it follows");
            assert_eq!((tail.entries.len(), tail.entries.capacity()), (capacity, room), "after {seq}");
        }
    }

    #[test]
    fn more_than_can_be_remembered_leaves_the_newest() {
        let mut tail = tail(3, &[entry(0, 1), entry(1, 1)]);
        let read: Vec<Entry> = (1..9).map(|seq| entry(seq, 1)).collect();
        assert_eq!(tail.extend(&read, Rules::ALL).map(|new| new.len()), Ok(7));
        assert_eq!(tail.entries, &read[5..]);
    }

    #[test]
    fn only_the_newest_entries_are_remembered() {
        let tail = tail(2, &[entry(0, 1), entry(1, 2), entry(2, 3)]);
        assert!(!tail.holds(entry(0, 1).position));
        assert!(tail.holds(entry(1, 2).position));
        assert!(!tail.holds(entry(1, 7).position));
        assert_eq!(tail.before(Seq::GENESIS.next().next()), Some(entry(1, 2).position));
        assert_eq!(tail.before(Seq::GENESIS.next()), None);
        assert_eq!(tail.after(Seq::GENESIS.next()).count(), 1);
        assert_eq!(Tail::new(2).read_from(Seq::new(9)), Seq::new(8));
        assert_eq!(tail.read_from(Seq::new(9)), Seq::new(2));
    }
}
