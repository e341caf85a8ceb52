//! Moments of a monotonic clock, and how long a lease has to be waited out. Reading a clock is left to others.

use std::time::Duration;

use crate::{Rule, Rules};

/// A reading of one process's monotonic clock, in nanoseconds.
///
/// It has to be a clock that goes on while the machine is suspended (`CLOCK_BOOTTIME`). Readings of two
/// processes are never compared. [`Moment::NEVER`] comes before every reading: a lease until then is dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Before everything.
    pub const NEVER: Self = Self(0);

    /// The moment of this clock reading in nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The clock reading in nanoseconds; for keeping a lease in an atomic.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// How long ago `earlier` was; nothing if it is yet to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The wall clock, in a unit of the caller's choice: compared with a token's expiry and with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

/// How long the end of another's lease has to be waited for: 1.25 times its length, rounded up.
///
/// Two clocks may each be wrong by ρ = 10 %, one fast and one slow: (1+ρ)/(1−ρ) is 1.22.
#[must_use]
pub(crate) fn wait_for(lease: Duration, rules: Rules) -> Duration {
    let lease = nanos(lease);
    if rules.keep(Rule::WaitMargin) {
        Duration::from_nanos(lease.saturating_add(lease.div_ceil(4)))
    } else {
        Duration::from_nanos(lease)
    }
}

/// Nanoseconds, at most 2^64 − 1 (584 years).
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_quarter_longer_than_the_lease_and_never_rounded_down() {
        let waits = |lease| wait_for(Duration::from_nanos(lease), Rules::ALL).as_nanos();
        assert_eq!([waits(0), waits(1), waits(4), waits(10)], [0, 2, 5, 13]);
        assert_eq!(wait_for(Duration::from_secs(10), Rules::ALL), Duration::from_millis(12_500));
    }

    #[test]
    fn moments_neither_overflow_nor_go_below_their_start() {
        assert_eq!(Moment::from_nanos(u64::MAX).plus(Duration::MAX), Moment::from_nanos(u64::MAX));
        assert_eq!(Moment::from_nanos(1).since(Moment::from_nanos(2)), Duration::ZERO);
    }
}
