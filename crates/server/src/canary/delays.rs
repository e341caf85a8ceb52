//! How long something took, over any number of times, in bounded memory.

use std::collections::BTreeMap;
use std::time::Duration;

/// Delays, each to three digits: at most 900 of them in each power of ten, however long the canary runs.
#[derive(Debug, Default)]
pub(super) struct Delays {
    /// How often, by microseconds.
    counts: BTreeMap<u64, u64>,
    total: u64,
    max: Option<Duration>,
}

impl Delays {
    pub(super) fn record(&mut self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        *self.counts.entry(three_digits(micros)).or_default() += 1;
        self.total += 1;
        self.max = self.max.max(Some(delay));
    }

    /// The shortest delay that this percentage of all do not exceed (nearest rank).
    pub(super) fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.total.saturating_mul(percent)).div_ceil(100).max(1);
        let mut counted = 0;
        for (micros, count) in &self.counts {
            counted += count;
            if counted >= rank {
                return Some(Duration::from_micros(*micros));
            }
        }
        None
    }

    /// The longest, exactly.
    pub(super) fn max(&self) -> Option<Duration> {
        self.max
    }
}

/// Rounded down, so that no percentile is above the maximum.
fn three_digits(number: u64) -> u64 {
    let digits = number.checked_ilog10().map_or(1, |log| log + 1);
    let unit = 10_u64.pow(digits.saturating_sub(3));
    number / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Delays {
        let mut delays = Delays::default();
        for millis in millis {
            delays.record(Duration::from_millis(millis));
        }
        delays
    }

    fn told(delays: &Delays) -> [Option<Duration>; 3] {
        [delays.percentile(50), delays.percentile(99), delays.max()]
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let millis = |numbers: [u64; 3]| numbers.map(|number| Some(Duration::from_millis(number)));
        assert_eq!(told(&of(1..=100)), millis([50, 99, 100]));
        assert_eq!(told(&of((1..=1_000).rev())), millis([500, 990, 1_000]));
        assert_eq!(told(&of([7])), millis([7, 7, 7]));
        assert_eq!(told(&of([3, 9])), millis([3, 9, 9]));
        assert_eq!(told(&of([])), [None; 3]);
    }

    #[test]
    fn three_digits_are_kept_and_the_maximum_is_exact() {
        let numbers = [0, 7, 999, 1_234, 98_765, u64::MAX];
        let rounded = [0, 7, 999, 1_230, 98_700, 18_400_000_000_000_000_000];
        assert_eq!(numbers.map(three_digits), rounded);
        let mut delays = Delays::default();
        delays.record(Duration::from_nanos(1_234_567));
        assert_eq!(delays.percentile(50), Some(Duration::from_micros(1_230)));
        assert_eq!(delays.max(), Some(Duration::from_nanos(1_234_567)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut delays = Delays::default();
        for micros in 0..1_000_000 {
            delays.record(Duration::from_micros(micros));
        }
        assert_eq!(delays.counts.len(), 1_000 + 3 * 900);
    }
}
