//! A place in the log of revocations.

use std::fmt;

/// The number of an entry in the log; the first entry, the genesis, is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(i64);

/// Drawn at random for each entry, so that two histories that forked are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(u64);

/// A place in the log of revocations: the entry of this number *and* this nonce.
///
/// The number alone means nothing once history has forked (a failover that lost writes, a restored
/// backup), so positions have no order: only the numbers of one log do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The entry's number.
    pub seq: Seq,
    /// The entry's nonce.
    pub nonce: Nonce,
}

impl Seq {
    /// The genesis entry, which revokes nothing.
    pub const GENESIS: Self = Self(0);

    /// A number, if it is one that a log can have: 0 or more.
    #[must_use]
    pub const fn new(seq: i64) -> Option<Self> {
        if seq >= 0 { Some(Self(seq)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number of the entry after this one.
    ///
    /// # Panics
    /// After 2^63 revocations.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("fewer than 2^63 revocations"))
    }
}

impl Nonce {
    /// A nonce from 64 random bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({:016x})", self.0)
    }
}

/// `seq@nonce`, as logs show it.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:016x}", self.seq.0, self.nonce.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_of_forked_histories_are_different_places() {
        let here = Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(1) };
        let there = Position { nonce: Nonce::from_bits(2), ..here };
        assert_ne!(here, there);
        assert_eq!(here.to_string(), "0@0000000000000001");
    }

    #[test]
    fn numbers_start_at_the_genesis() {
        assert_eq!(Seq::new(-1), None);
        assert_eq!(Seq::new(0), Some(Seq::GENESIS));
        assert_eq!(Seq::GENESIS.next().get(), 1);
    }
}
