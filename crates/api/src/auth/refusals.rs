//! Which refused strangers are logged: a flood of them must not fill the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ApiError;

/// A second of strangers has at most this many lines in the log, and one that counts the others.
const LINES: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// One for the whole process, as the log is.
static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals { second: None });
/// The same for what gateways ask: their clients must not hide strangers.
static GATEWAYS: Mutex<Refusals> = Mutex::new(Refusals { second: None });

/// Logs that a stranger was refused, unless too many are.
pub(crate) fn log(error: &ApiError) {
    log_refusal(&REFUSALS, "not authenticated", error.reason_name(), error.message());
}

/// Logs why a gateway got no decision about a token, unless that is said too often.
pub(crate) fn log_gateway(reason: &'static str, message: &'static str) {
    log_refusal(&GATEWAYS, "no decision for a gateway", reason, message);
}

/// Logs that somebody was refused. Reasons and messages are the server's own texts: nothing of what a
/// stranger sent is among them.
fn log_refusal(refusals: &'static Mutex<Refusals>, what: &'static str, reason: &str, message: &str) {
    let now = Instant::now();
    let (more, treatment) = {
        let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
        (refusals.close(now), refusals.note(now))
    };
    log_more(what, more);
    match treatment {
        Treatment::Write => {
            tracing::info!(reason, message, "{what}");
        }
        Treatment::Count => {}
        Treatment::CountFirst { left } => {
            // Without it the count would wait for the next stranger.
            tokio::spawn(async move {
                tokio::time::sleep(left).await;
                let more = refusals.lock().unwrap_or_else(PoisonError::into_inner).close(Instant::now());
                log_more(what, more);
            });
        }
    }
}

fn log_more(what: &'static str, more: u64) {
    if more > 0 {
        tracing::info!(more, "{what}: as many more in the same second");
    }
}

/// Which refusals are logged.
struct Refusals {
    /// The second that the last refusal was in, unless it was closed.
    second: Option<Second>,
}

struct Second {
    began: Instant,
    lines: u32,
    /// Those that were not logged.
    more: u64,
}

/// What becomes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Write,
    /// Counted only, as the first of its second: what is left of that, and then it is to be closed.
    CountFirst {
        left: Duration,
    },
    Count,
}

impl Refusals {
    /// Ends the second if it is over. Says how many refusals of it were not logged, once.
    fn close(&mut self, now: Instant) -> u64 {
        self.second
            .take_if(|second| now.saturating_duration_since(second.began) >= SECOND)
            .map_or(0, |second| second.more)
    }

    /// One more refusal. Comes after [`Self::close`] at the same time.
    fn note(&mut self, now: Instant) -> Treatment {
        let second = self.second.get_or_insert(Second { began: now, lines: 0, more: 0 });
        if second.lines < LINES {
            second.lines += 1;
            return Treatment::Write;
        }
        second.more = second.more.saturating_add(1);
        if second.more > 1 {
            return Treatment::Count;
        }
        let left = SECOND.saturating_sub(now.saturating_duration_since(second.began));
        Treatment::CountFirst { left }
    }
}

#[cfg(test)]
mod tests {
    use gatekey_proto::v1::ErrorReason;

    use super::*;
    use crate::auth::tests::log::Log;

    /// What became of this many refusals at one time.
    fn note(refusals: &mut Refusals, now: Instant, count: usize) -> (u64, Vec<Treatment>) {
        let mut more = 0;
        let next = (0..count).map(|_| {
            more += refusals.close(now);
            refusals.note(now)
        });
        let next = next.collect();
        (more, next)
    }

    #[test]
    fn ten_lines_a_second_and_the_others_counted() {
        let mut refusals = Refusals { second: None };
        let start = Instant::now();
        assert_eq!(note(&mut refusals, start, 9), (0, vec![Treatment::Write; 9]));
        let half = start + SECOND / 2;
        let (_, next) = note(&mut refusals, half, 4);
        let first = Treatment::CountFirst { left: SECOND / 2 };
        assert_eq!(next, [Treatment::Write, first, Treatment::Count, Treatment::Count]);
        let last = start + SECOND.checked_sub(Duration::from_nanos(1)).expect("longer");
        assert_eq!(note(&mut refusals, last, 1), (0, vec![Treatment::Count]));
        assert_eq!(refusals.close(last), 0, "the second goes on");
        assert_eq!(refusals.close(start + SECOND), 4);
        assert_eq!(refusals.close(start + SECOND), 0, "said once");
        assert_eq!(note(&mut refusals, start + SECOND, 10), (0, vec![Treatment::Write; 10]));
        assert_eq!(refusals.close(start + SECOND * 2), 0, "none was left out");
    }

    #[test]
    fn the_next_stranger_closes_a_second_that_nobody_closed() {
        let mut refusals = Refusals { second: None };
        let start = Instant::now();
        note(&mut refusals, start, 110);
        let (more, next) = note(&mut refusals, start + SECOND * 3600, 11);
        assert_eq!(more, 100);
        assert_eq!(next[..10], [Treatment::Write; 10]);
        assert_eq!(next[10], Treatment::CountFirst { left: SECOND });
    }

    #[test]
    fn a_clock_that_went_back_ends_no_second() {
        let mut refusals = Refusals { second: None };
        let start = Instant::now();
        note(&mut refusals, start + SECOND, 10);
        assert_eq!(note(&mut refusals, start, 1), (0, vec![Treatment::CountFirst { left: SECOND }]));
    }

    #[tokio::test]
    async fn a_flood_is_logged_in_ten_lines_and_one() {
        static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals { second: None });
        let (log, _guard) = Log::start();
        // No other second begins while this runs, however slow the machine is.
        let hour_ahead = Instant::now() + SECOND * 3600;
        REFUSALS.lock().expect("nobody panics with it").second =
            Some(Second { began: hour_ahead, lines: 0, more: 0 });
        for _ in 0..15 {
            let error = ApiError::new(ErrorReason::CredentialsMissing);
            log_refusal(&REFUSALS, "not authenticated", error.reason_name(), error.message());
        }
        let of_the_door = || log.of("gatekey_api::auth::refusals");
        let line = r#"reason="CREDENTIALS_MISSING" message="no credentials: "#;
        assert_eq!(of_the_door().matches(line).count(), 10, "{}", of_the_door());
        assert_eq!(of_the_door().lines().count(), 10, "{}", of_the_door());
        // The second is over, and nobody else comes.
        REFUSALS.lock().expect("nobody panics with it").second.as_mut().expect("it goes on").began =
            Instant::now().checked_sub(SECOND).expect("the machine runs for longer");
        tokio::time::pause();
        tokio::time::sleep(SECOND * 2).await;
        assert_eq!(of_the_door().matches(" more=5").count(), 1, "{}", of_the_door());
        assert_eq!(of_the_door().lines().count(), 11, "{}", of_the_door());
    }
}
