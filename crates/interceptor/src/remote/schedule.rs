//! When the stream asks for a lease: every fifth of one, and sooner where no answer came. Who asks is left to others.

use std::time::Duration;

use tokio::time::Instant;

use crate::shared::Meant;

/// When a Renew got no answer, the next comes this soon, and then after twice as long each time.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Taken for the lease as long as none was granted: the shortest there is.
const SHORTEST: Duration = Duration::from_secs(2);

/// When to renew.
pub(super) struct Schedule {
    pub(super) next: Instant,
    lease: Duration,
    /// When a lease was granted last, or the stream began.
    granted: Instant,
    pub(super) was_leased: bool,
    again: Duration,
}

impl Schedule {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { next: now + ASK_AGAIN, lease: SHORTEST, granted: now, was_leased: false, again: ASK_AGAIN }
    }

    pub(super) fn heard(&mut self, meant: Meant) {
        let now = Instant::now();
        match meant {
            Meant::Lease(length) => {
                // A server whose own lease runs out grants what is left, less each time: that is no reason to ask more and
                // more often.
                *self = Self {
                    next: now + (length / 5).max(ASK_AGAIN),
                    lease: length,
                    granted: now,
                    was_leased: true,
                    again: ASK_AGAIN,
                }
            }
            Meant::Reset => self.next = now,
            Meant::Leave | Meant::Nothing => {}
        }
    }

    pub(super) fn asked(&mut self) {
        self.next = Instant::now() + self.again;
        self.again = (self.again * 2).min((self.lease / 5).max(ASK_AGAIN * 4));
    }

    /// No lease for so long: another replica may have one.
    pub(super) fn in_vain(&self) -> bool {
        self.granted.elapsed() > self.lease.max(SHORTEST) * 5 / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long after now.
    fn wait(schedule: &Schedule) -> Duration {
        schedule.next - Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_asked_for_every_fifth_of_it() {
        let mut schedule = Schedule::new();
        schedule.heard(Meant::Lease(Duration::from_secs(10)));
        assert_eq!(wait(&schedule), Duration::from_secs(2));
        for after in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
            schedule.asked();
            assert_eq!(wait(&schedule), Duration::from_millis(after));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_shrinks_to_nothing_is_not_asked_for_all_the_time() {
        let mut schedule = Schedule::new();
        let mut ttl = Duration::from_secs(2);
        while !ttl.is_zero() {
            schedule.heard(Meant::Lease(ttl));
            assert!(wait(&schedule) >= ASK_AGAIN, "{ttl:?}");
            ttl = ttl * 4 / 5;
        }
        for after in [50, 100, 200, 200] {
            schedule.asked();
            assert_eq!(wait(&schedule), Duration::from_millis(after));
        }
        schedule.heard(Meant::Reset);
        assert_eq!(wait(&schedule), Duration::ZERO, "what voids a Renew is answered at once");
    }
}
