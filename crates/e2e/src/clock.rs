//! The clock by which histories are timed. Comparing readings is left to others.

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`, and with it `Instant`, stands still while the machine is suspended; this one goes on.
const CLOCK: ClockId = ClockId::Boottime;

/// The nanoseconds since the machine was started, suspensions included: the same in every process of it.
///
/// # Panics
/// Never: the time since the start is not negative, and shorter than 584 years.
#[must_use]
pub fn boottime() -> u64 {
    let now = clock_gettime(CLOCK);
    let seconds = u64::try_from(now.tv_sec).expect("not negative");
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).expect("not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In nanoseconds; Linux tells it in hundredths of a second, rounded down.
    fn uptime() -> u64 {
        let text = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
        let (seconds, rest) = text.split_once('.').expect("a fraction");
        let hundredths = &rest[..2];
        let hundredths: u64 = format!("{seconds}{hundredths}").parse().expect("a number");
        hundredths * 10_000_000
    }

    #[test]
    fn it_counts_from_the_start_of_the_machine_suspensions_included() {
        assert_eq!(CLOCK, ClockId::Boottime);
        let (before, now, after) = (uptime(), boottime(), uptime());
        assert!(before <= now && now <= after + 10_000_000, "{before} {now} {after}");
    }
}
