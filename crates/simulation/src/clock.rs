//! A process's own clock, which runs at its own rate and began anywhere.

use gatekey_lease::Moment;

/// A true clock's rate.
const MILLION: u64 = 1_000_000;

/// The longest span that is converted, in nanoseconds: almost three hours.
const LONGEST: u64 = 10_000_000_000_000;

/// A clock, read at a true time in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    /// How many millionths of a second it counts in a second, in millions of them.
    rate: u64,
}

impl Clock {
    pub(crate) const fn new(offset: u64, rate: u64) -> Self {
        Self { offset, rate }
    }

    pub(crate) const fn read(&self, now: u64) -> Moment {
        Moment::from_nanos(self.offset + now * self.rate / MILLION)
    }

    /// The first true time at which it has come this far.
    pub(crate) fn when(&self, moment: Moment) -> u64 {
        let span = moment.nanos().saturating_sub(self.offset).min(LONGEST);
        (span * MILLION).div_ceil(self.rate)
    }

    /// How long a span of it really takes.
    pub(crate) fn takes(&self, span: u64) -> u64 {
        (span.min(LONGEST) * MILLION).div_ceil(self.rate)
    }

    /// Sets it back, which a monotonic clock never is.
    pub(crate) fn set_back(&mut self, by: u64) {
        self.offset = self.offset.saturating_sub(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_never_comes_early() {
        for rate in [700_000, 900_000, 999_999, 1_000_000, 1_100_000, 1_300_000] {
            let clock = Clock::new(5_000_000_000, rate);
            for span in [0, 1, 7, 999_999_937, 1_200_000_000_000] {
                let moment = Moment::from_nanos(5_000_000_000 + span);
                let when = clock.when(moment);
                assert!(clock.read(when) >= moment, "{rate} {span}");
                assert!(when == 0 || clock.read(when - 1) < moment, "{rate} {span}");
            }
        }
    }
}
