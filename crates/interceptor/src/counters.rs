//! Counts of what the interceptor does, kept so that threads that count do not slow each other down.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Refusal;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Cached,
    Verified,
    Refused(Refusal),
    Asked,
    Unanswered,
}

const REFUSALS: usize = Refusal::ALL.len();
const KINDS: usize = REFUSALS + 4;
/// More than there are threads that count much.
const STRIPES: usize = 16;

/// Striped by thread, each stripe on cache lines of its own.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    stripes: [Stripe; STRIPES],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; KINDS]);

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// What an interceptor has done since it was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Tokens accepted from memory.
    pub cached: u64,
    /// Tokens accepted after a server was asked.
    pub verified: u64,
    /// Requests without a token.
    pub missing: u64,
    /// Requests with an `authorization` that can't be read.
    pub unreadable: u64,
    /// Tokens that were malformed, unknown, revoked or expired.
    pub invalid: u64,
    /// Tokens of the other type than the required one.
    pub wrong_type: u64,
    /// Requests turned away because nobody could tell.
    pub unverifiable: u64,
    /// Requests turned away because too many tokens had to be verified.
    pub overloaded: u64,
    /// Requests to routes without a rule.
    pub no_rule: u64,
    /// Verifications sent to servers.
    pub asked: u64,
    /// Verifications to which no server gave an answer.
    pub unanswered: u64,
}

impl Counters {
    #[inline]
    pub(crate) fn count(&self, what: Count) {
        let stripe = STRIPE.get();
        let stripe = if stripe == usize::MAX { assign() } else { stripe };
        let number = match what {
            Count::Refused(refusal) => refusal.number(),
            Count::Cached => REFUSALS,
            Count::Verified => REFUSALS + 1,
            Count::Asked => REFUSALS + 2,
            Count::Unanswered => REFUSALS + 3,
        };
        self.stripes[stripe].0[number].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        let sum = |number: usize| -> u64 {
            self.stripes.iter().map(|stripe| stripe.0[number].load(Ordering::Relaxed)).sum()
        };
        let refused = |which: fn(Refusal) -> bool| -> u64 {
            Refusal::ALL
                .into_iter()
                .filter(|refusal| which(*refusal))
                .map(|refusal| sum(refusal.number()))
                .sum()
        };
        Stats {
            cached: sum(REFUSALS),
            verified: sum(REFUSALS + 1),
            missing: refused(|refusal| refusal == Refusal::Missing),
            unreadable: refused(|refusal| refusal == Refusal::Unreadable),
            invalid: refused(|refusal| refusal == Refusal::Invalid),
            wrong_type: refused(|refusal| matches!(refusal, Refusal::WrongType(_))),
            unverifiable: refused(|refusal| refusal == Refusal::Unverifiable),
            overloaded: refused(|refusal| refusal == Refusal::Overloaded),
            no_rule: refused(|refusal| refusal == Refusal::NoRule),
            asked: sum(REFUSALS + 2),
            unanswered: sum(REFUSALS + 3),
        }
    }
}

/// A thread's first count.
#[cold]
fn assign() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let stripe = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    STRIPE.set(stripe);
    stripe
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatekey_model::TokenType;

    #[test]
    fn counts_of_all_threads_are_summed_up() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..STRIPES + 2 {
                scope.spawn(|| {
                    for what in Refusal::ALL.map(Count::Refused).into_iter().chain([Count::Cached]) {
                        counters.count(what);
                    }
                });
            }
        });
        counters.count(Count::Refused(Refusal::WrongType(TokenType::Batch)));
        let stats = counters.stats();
        let threads = STRIPES as u64 + 2;
        assert_eq!((stats.cached, stats.wrong_type, stats.no_rule), (threads, 2 * threads + 1, threads));
        assert_eq!((stats.verified, stats.asked), (0, 0));
    }
}
