//! The simulation's only source of chance: a small generator (SplitMix64) whose whole state is the seed.

/// Random numbers, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Evenly from 0 up to, and without, `end`; 0 if that is 0.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.bits() % end }
    }

    /// Evenly from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Each order of magnitude from `low` to `high` equally likely.
    pub(crate) fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let low = low.max(1);
        let bits = self.between(u64::from(low.ilog2()), u64::from(high.max(low).ilog2()));
        let value = (1 << bits) + self.below(1 << bits);
        value.clamp(low, high.max(low))
    }

    /// True so many times in a thousand.
    pub(crate) const fn chance(&mut self, in_a_thousand: u64) -> bool {
        self.below(1000) < in_a_thousand
    }

    /// A place in a list of this length, which is not empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a usize")
    }
}

/// Spreads every bit over all of them.
pub(crate) const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_within_their_bounds() {
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        for _ in 0..1000 {
            let number = one.magnitude(10, 5000);
            assert_eq!(number, two.magnitude(10, 5000));
            assert!((10..=5000).contains(&number));
        }
        assert_eq!(one.below(0), 0);
        assert_eq!(one.between(3, 3), 3);
    }
}
