//! Which history exports are of. A number of the log says nothing by itself: after a restore or a failover it is used again,
//! for another revocation, and only the nonce beside it tells them apart.

use std::collections::BTreeMap;

use gatekey_lease::{Nonce, Position, Seq};

/// What stands at each number of the log, as exports have it.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: BTreeMap<Seq, Nonce>,
    /// The first number that stands for two.
    forked: Option<Seq>,
}

impl History {
    pub(super) fn saw(&mut self, Position { seq, nonce }: Position) {
        let there = *self.entries.entry(seq).or_insert(nonce);
        if there != nonce {
            self.forked = Some(self.forked.map_or(seq, |forked| forked.min(seq)));
        }
    }

    /// The first number that stands for two revocations: they are of two histories.
    pub(super) fn forked(&self) -> Option<Seq> {
        self.forked
    }

    /// What stands there, if an export says so.
    pub(super) fn at(&self, seq: Seq) -> Option<Position> {
        self.entries.get(&seq).map(|nonce| Position { seq, nonce: *nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(seq: i64, nonce: u64) -> Position {
        Position { seq: Seq::new(seq).expect("a number"), nonce: Nonce::from_bits(nonce) }
    }

    #[test]
    fn a_number_that_stands_for_two_is_a_fork() {
        let mut history = History::default();
        for (seq, nonce) in [(1, 7), (9, 7), (5, 7), (1, 7)] {
            history.saw(position(seq, nonce));
        }
        assert_eq!(history.forked(), None);
        for (seq, nonce, first) in [(9, 8, 9), (5, 8, 5), (9, 9, 5)] {
            history.saw(position(seq, nonce));
            assert_eq!(history.forked(), Seq::new(first));
        }
        assert_eq!(history.at(Seq::new(1).expect("a number")), Some(position(1, 7)));
        assert_eq!(history.at(Seq::new(2).expect("a number")), None);
    }
}
