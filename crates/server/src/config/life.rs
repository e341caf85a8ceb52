//! The settings of a server's start, of its connections' age and of its end.

use std::time::Duration;

use super::settings::Settings;

/// A rolled-out schema or a failover of Postgres takes minutes at most. Whoever starts servers sees one that ends.
const START_TIMEOUT: u32 = 300;
const DRAIN_TIMEOUT: u32 = 15;
const CONNECTION_AGE: u32 = 1_800;
const DAY: u32 = 86_400;
/// Longer than any load balancer takes to hear of it.
const LONGEST_DELAY: u32 = 600;
/// Holders are asked to go elsewhere within this time at the most: a thousand of them are 200 a second then.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);

/// How long a server takes for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// How long a start waits for the store; zero if it does not.
    pub(crate) start_timeout: Duration,
    /// How long calls are taken though it is not ready any more.
    pub(crate) shutdown_delay: Duration,
    /// How long running calls may take to finish then.
    pub(crate) drain_timeout: Duration,
    /// How old connections become.
    pub(crate) connection_age: Duration,
}

impl Life {
    pub(super) fn check(settings: &Settings, problems: &mut Vec<String>) -> Self {
        let mut seconds = |flag: &str, given: Option<u32>, default: u32, least: u32, most: u32| {
            let seconds = given.unwrap_or(default);
            if !(least..=most).contains(&seconds) {
                problems.push(format!("--{flag}: must be {least} to {most} seconds"));
            }
            Duration::from_secs(seconds.into())
        };
        Self {
            start_timeout: seconds("start-timeout", settings.start_timeout, START_TIMEOUT, 0, DAY),
            shutdown_delay: seconds("shutdown-delay", settings.shutdown_delay, 0, 0, LONGEST_DELAY),
            drain_timeout: seconds("drain-timeout", settings.drain_timeout, DRAIN_TIMEOUT, 0, DAY),
            connection_age: seconds("connection-age", settings.connection_age, CONNECTION_AGE, 1, DAY),
        }
    }

    /// Within which time of the drain the holders of leases are asked to go elsewhere: what is not needed to wait out the
    /// leases of those who do nothing of it, by half, and a tenth of the drain in any case.
    pub(crate) fn spread(&self, lease: Duration) -> Duration {
        let spare = self.drain_timeout.saturating_sub(lease * 5 / 4) / 2;
        spare.max(self.drain_timeout / 10).min(LONGEST_SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_have_a_part_of_the_drain() {
        for (drain, lease, millis) in
            [(15, 10, 1_500), (20, 10, 3_750), (15, 2, 5_000), (60, 10, 5_000), (5, 10, 500), (0, 10, 0)]
        {
            let settings = Settings { drain_timeout: Some(drain), ..Settings::default() };
            let life = Life::check(&settings, &mut Vec::new());
            assert_eq!(
                life.spread(Duration::from_secs(lease)),
                Duration::from_millis(millis),
                "{drain}, {lease}"
            );
        }
    }
}
