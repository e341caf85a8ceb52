//! The two clocks of a check: one that leases are timed by, and one that tokens expire by.

use std::time::{SystemTime, UNIX_EPOCH};

use gatekey_lease::{Moment, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// Goes on while the machine is suspended. `Instant` does not: on Linux it reads `CLOCK_MONOTONIC`.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
/// On Apple's systems `CLOCK_MONOTONIC` counts the time asleep.
#[cfg(target_vendor = "apple")]
const CLOCK: ClockId = ClockId::Monotonic;

/// The machine's clocks, or in tests ones that are ahead of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    #[cfg(any(test, feature = "test-util"))]
    ahead: std::sync::Arc<Ahead>,
}

#[cfg(any(test, feature = "test-util"))]
#[derive(Debug, Default)]
struct Ahead {
    monotonic: std::sync::atomic::AtomicU64,
    wall: std::sync::atomic::AtomicI64,
}

impl Clock {
    /// Now, for leases.
    #[inline]
    #[cfg_attr(
        not(any(test, feature = "test-util")),
        expect(clippy::unused_self, reason = "a test's clock is ahead of the machine's")
    )]
    pub(crate) fn moment(&self) -> Moment {
        let now = clock_gettime(CLOCK);
        // Neither is negative, and the time since a machine's start has fewer than 2^64 ns.
        let nanos = now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(nanos(now.tv_nsec));
        #[cfg(any(test, feature = "test-util"))]
        let nanos = nanos + self.ahead.monotonic.load(std::sync::atomic::Ordering::SeqCst);
        Moment::from_nanos(nanos)
    }

    /// Now, for expiry: microseconds since 1970. A clock that stands before 1970 lets every token count as expired.
    #[inline]
    #[cfg_attr(
        not(any(test, feature = "test-util")),
        expect(clippy::unused_self, reason = "a test's clock is ahead of the machine's")
    )]
    pub(crate) fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        let micros = since.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(i64::MAX);
        #[cfg(any(test, feature = "test-util"))]
        let micros = micros.saturating_add(self.ahead.wall.load(std::sync::atomic::Ordering::SeqCst));
        WallTime(micros)
    }

    /// Now, as exactly as it takes to compare it with this expiry. The exact clock costs four times as much as one that is a
    /// few milliseconds behind.
    #[inline]
    pub(crate) fn wall_before(&self, expires: WallTime) -> WallTime {
        #[cfg(test)]
        if let Some(work) = BEFORE_WALL.take() {
            work();
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let coarse = clock_gettime(ClockId::RealtimeCoarse);
            let micros = coarse.tv_sec.saturating_mul(1_000_000);
            #[cfg(any(test, feature = "test-util"))]
            let micros = micros.saturating_add(self.ahead.wall.load(std::sync::atomic::Ordering::SeqCst));
            // It has the seconds only, and before 1970 no time is right.
            if coarse.tv_sec > 0 && micros.saturating_add(2_000_000) < expires.0 {
                return WallTime(micros);
            }
        }
        self.wall()
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clock {
    /// Both clocks show so much more from now on, as after a suspension of that length.
    pub(crate) fn advance(&self, span: std::time::Duration) {
        use std::sync::atomic::Ordering::SeqCst;
        self.ahead.monotonic.fetch_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX), SeqCst);
        self.ahead.wall.fetch_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX), SeqCst);
    }
}

#[cfg(test)]
thread_local! {
    static BEFORE_WALL: std::cell::Cell<Option<Box<dyn FnOnce()>>> = const { std::cell::Cell::new(None) };
}

/// Does this when a check of this thread next asks whether a token has expired: after its look into the cache.
#[cfg(test)]
pub(crate) fn before_next_wall(work: impl FnOnce() + 'static) {
    BEFORE_WALL.set(Some(Box::new(work)));
}

/// Its type differs between systems; it is never negative.
#[inline]
fn nanos<T: TryInto<u64>>(nanos: T) -> u64 {
    nanos.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[cfg(target_os = "linux")]
    #[test]
    fn leases_are_timed_by_a_clock_that_counts_suspensions() {
        assert_eq!(CLOCK, ClockId::Boottime);
        let uptime = || -> u64 {
            let text = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
            // In hundredths of a second, rounded down.
            text.split_once(' ').expect("two numbers").0.replace('.', "").parse().expect("a number")
        };
        let (before, now, after) = (uptime(), Clock::default().moment().nanos() / 10_000_000, uptime());
        assert!(before <= now && now <= after + 1, "{before} {now} {after}");
    }

    #[test]
    fn near_an_expiry_the_wall_clock_is_exact() {
        let clock = Clock::default();
        let now = clock.wall();
        let soon = clock.wall_before(WallTime(now.0 + 1_000_000));
        assert!(soon >= now, "{soon:?} {now:?}");
        let far = clock.wall_before(WallTime(i64::MAX));
        assert!(now.0 - far.0 < 2_000_000 && far <= clock.wall(), "{far:?} {now:?}");
        clock.advance(Duration::from_hours(1));
        assert!(clock.wall_before(WallTime(i64::MAX)).0 - far.0 >= 3_600_000_000);
    }

    #[test]
    fn both_clocks_can_be_put_ahead() {
        let clock = Clock::default();
        let (moment, wall) = (clock.moment(), clock.wall());
        clock.advance(Duration::from_hours(1));
        assert!(clock.moment().since(moment) >= Duration::from_hours(1));
        assert!(clock.wall().0 - wall.0 >= 3_600_000_000);
    }
}
