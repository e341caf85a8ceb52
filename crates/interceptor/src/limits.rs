//! How much a flood of tokens that nobody knows may cost: verifications at once, and in a second.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The limits of one interceptor.
#[derive(Debug)]
pub(crate) struct Limits {
    /// How many verifications may be under way.
    pub(crate) at_once: usize,
    /// How many may begin in a second: GCRA, a burst of as many.
    rate: Option<DefaultDirectRateLimiter>,
    /// How long one server is given for an answer.
    pub(crate) patience: Duration,
    /// How long open streams go on without a lease.
    pub(crate) grace: Duration,
}

impl Limits {
    pub(crate) fn new(
        at_once: usize,
        a_second: Option<NonZeroU32>,
        patience: Duration,
        grace: Duration,
    ) -> Self {
        let rate = a_second.map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Self { at_once, rate, patience, grace }
    }

    /// Whether one more verification may begin while so many are under way.
    pub(crate) fn allow(&self, under_way: usize) -> bool {
        under_way < self.at_once && self.rate.as_ref().is_none_or(|rate| rate.check().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold() {
        let second = Duration::from_secs(1);
        let limits = Limits::new(2, NonZeroU32::new(3), second, second);
        assert!(!limits.allow(2), "that costs none of the rate");
        assert_eq!((0..100).filter(|_| limits.allow(1)).count(), 3);
        let limits = Limits::new(2, None, second, second);
        assert_eq!((0..100).filter(|_| limits.allow(1)).count(), 100);
    }
}
