//! The clocks: the wall clock for token expiry and records only, and one that never stops for leases.

use gatekey_lease::Moment;
use gatekey_model::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now, for token expiry and records: never for leases.
    fn now(&self) -> Timestamp;

    /// The moment now, for leases: see [`boottime`].
    fn moment(&self) -> Moment {
        boottime()
    }
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_date_time(std::time::SystemTime::now().into())
    }
}

/// The clock of leases: monotonic, and it goes on while the machine is suspended, which
/// `std::time::Instant` does not on Linux.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LEASE_CLOCK: ClockId = ClockId::Boottime;
/// Elsewhere the monotonic clock has to do; macOS' goes on in its sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const LEASE_CLOCK: ClockId = ClockId::Monotonic;

/// A reading of `CLOCK_BOOTTIME` (Linux, `clock_gettime(2)`).
#[must_use]
pub fn boottime() -> Moment {
    let reading = clock_gettime(LEASE_CLOCK);
    let seconds = u64::try_from(reading.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(reading.tv_nsec).unwrap_or(0);
    Moment::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The kernel's own word for it: seconds since the start, sleep included, cut to hundredths.
    fn uptime() -> f64 {
        let text = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
        text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("a number")
    }

    #[test]
    fn leases_are_timed_by_the_clock_that_counts_suspension() {
        assert_eq!(LEASE_CLOCK, ClockId::Boottime);
        let before = uptime();
        let now = std::time::Duration::from_nanos(boottime().nanos()).as_secs_f64();
        let after = uptime();
        assert!(before <= now && now <= after + 0.011, "{before} {now} {after}");
    }
}
