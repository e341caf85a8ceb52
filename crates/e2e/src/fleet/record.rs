//! What happened to the tokens of a fleet, judged as it happens by the one checker of histories.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use gatekey_proto::v1::DeletionReceipt;
use gatekey_simulation::history::{Answer, Check, Checker, DeleteId, Final, Place, Totals, Violation};

use crate::{Checked, Outcome, boottime};

/// A check within so many nanoseconds of a delete's OK is one that looks for a stale accept.
const PROBE_WINDOW: u64 = 2_000_000_000;

/// Takes down what happened, and finds what must not have.
#[derive(Debug, Default)]
pub struct Record {
    tokens: Mutex<HashMap<i64, Known>>,
    tally: Mutex<Tally>,
    found: Mutex<Vec<String>>,
    failures: Mutex<BTreeMap<String, u64>>,
    /// What is being done to the fleet, by a number of the test's choice; found along with a violation.
    chapter: AtomicU64,
}

#[derive(Debug)]
struct Known {
    checker: Checker,
    deleted: bool,
    /// A violation was found already.
    broken: bool,
}

/// How much of what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Deletes that returned OK because everybody had confirmed.
    pub by_acks: u64,
    /// Deletes that returned OK after leases were waited out.
    pub by_time: u64,
    /// Deletes that gave no answer, or another than OK.
    pub unknown: u64,
    /// Accepts from a cache.
    pub cached: u64,
    /// Checks of all kinds.
    pub checks: u64,
}

impl Tally {
    /// What happened after an earlier one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            by_acks: self.by_acks - earlier.by_acks,
            by_time: self.by_time - earlier.by_time,
            unknown: self.unknown - earlier.unknown,
            cached: self.cached - earlier.cached,
            checks: self.checks - earlier.checks,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by_acks, by_time, unknown, cached, checks } = self;
        write!(f, "deletes: {by_acks} by acks, {by_time} by time, {unknown} unknown; ")?;
        write!(f, "{checks} checks, {cached} accepts from caches")
    }
}

impl Default for Known {
    fn default() -> Self {
        Self { checker: Checker::new(PROBE_WINDOW), deleted: false, broken: false }
    }
}

impl Record {
    /// From now on, this is being done to the fleet.
    pub fn begin_chapter(&self, number: u64) {
        self.chapter.store(number, Ordering::SeqCst);
    }

    /// How much happened so far.
    ///
    /// # Panics
    /// Never, unless it panicked before.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.tally.lock().expect("whole")
    }

    /// How many deletes were answered with what else than OK, so far.
    ///
    /// # Panics
    /// Never, unless it panicked before.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, u64> {
        self.failures.lock().expect("whole").clone()
    }

    /// What must not have happened, so far.
    ///
    /// # Panics
    /// Never, unless it panicked before.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.found.lock().expect("whole").clone()
    }

    /// Notes what no history can have.
    ///
    /// # Panics
    /// Never, unless it panicked before.
    pub fn broken(&self, what: impl Into<String>) {
        let chapter = self.chapter.load(Ordering::SeqCst);
        self.found.lock().expect("whole").push(format!("{chapter}: {}", what.into()));
    }

    /// Whatever happens to this token is outside the promises: its last write was on a primary that was lost, and on
    /// no other.
    pub fn outside(&self, id: i64) {
        self.on(id, |known| known.checker.outside(number(id)));
    }

    pub(super) fn created(&self, id: i64) {
        let now = boottime();
        self.on(id, |known| known.checker.created(number(id), now));
    }

    pub(super) fn delete_invoked(&self, id: i64) -> DeleteId {
        let now = boottime();
        self.on(id, |known| known.checker.delete_invoked(number(id), now))
    }

    pub(super) fn delete_returned(&self, id: i64, delete: DeleteId, receipt: &DeletionReceipt) {
        let now = boottime();
        self.on(id, |known| {
            known.deleted = true;
            known.checker.delete_returned(delete, now);
        });
        let mut tally = self.tally.lock().expect("whole");
        if receipt.leases_waited_out == 0 {
            tally.by_acks += 1;
        } else {
            tally.by_time += 1;
        }
    }

    /// It was not answered with OK, but with this.
    pub(super) fn delete_failed(&self, id: i64, delete: DeleteId, answer: String) {
        let now = boottime();
        self.on(id, |known| known.checker.delete_failed(delete, now));
        self.tally.lock().expect("whole").unknown += 1;
        *self.failures.lock().expect("whole").entry(answer).or_default() += 1;
    }

    pub(super) fn checked(&self, id: i64, place: Place, checked: &Checked) {
        let Checked { outcome, cached, invoked, returned } = *checked;
        let answer = match outcome {
            Outcome::Accepted => Answer::Accepted,
            Outcome::Rejected => Answer::Rejected,
            Outcome::CannotTell => Answer::CannotTell,
        };
        let check = Check { token: number(id), place, invoked, returned, answer };
        self.on(id, |known| known.checker.checked(check));
        let mut tally = self.tally.lock().expect("whole");
        tally.checks += 1;
        tally.cached += u64::from(cached && outcome == Outcome::Accepted);
    }

    /// Tells the checker, and asks it at once.
    fn on<T>(&self, id: i64, tell: impl FnOnce(&mut Known) -> T) -> T {
        let mut tokens = self.tokens();
        let known = tokens.entry(id).or_default();
        let told = tell(known);
        if !known.broken {
            // Writes are not lost before the end, when the store itself is asked.
            let so_far = if known.deleted { Final::Revoked } else { Final::Live };
            let report = known.checker.clone().finish(|_| so_far);
            known.broken = !report.violations.is_empty();
            drop(tokens);
            self.report(&report.violations);
        }
        told
    }

    fn report(&self, violations: &[Violation]) {
        for violation in violations {
            self.broken(violation.to_string());
        }
    }

    /// The history is over, and the store says this of each token. What was seen in all.
    pub(super) fn finish(&self, mut end: impl FnMut(i64) -> Final) -> Totals {
        let mut totals = Totals::default();
        for (id, known) in std::mem::take(&mut *self.tokens()) {
            let report = known.checker.finish(|_| end(id));
            totals.add(&report.totals);
            if !known.broken {
                self.report(&report.violations);
            }
        }
        totals
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<i64, Known>> {
        self.tokens.lock().expect("whole")
    }
}

fn number(id: i64) -> u64 {
    u64::try_from(id).expect("an id is positive")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &Record, outcome: Outcome) {
        let (invoked, returned) = (boottime(), boottime());
        record.checked(1, Place::Holder(0), &Checked { outcome, cached: false, invoked, returned });
    }

    fn delete(record: &Record) {
        let delete = record.delete_invoked(1);
        record.delete_returned(1, delete, &DeletionReceipt::default());
    }

    #[test]
    fn a_stale_accept_is_found_at_once_and_once() {
        let record = Record::default();
        record.created(1);
        check(&record, Outcome::Accepted);
        delete(&record);
        check(&record, Outcome::Rejected);
        assert_eq!(record.violations(), [""; 0]);
        record.begin_chapter(7);
        check(&record, Outcome::Accepted);
        check(&record, Outcome::Accepted);
        let [violation] = &record.violations()[..] else { panic!("one") };
        assert!(violation.starts_with("7: stale accept: token 1"), "{violation}");
        assert_eq!(record.finish(|_| Final::Revoked).accepted, 3);
        assert_eq!(record.violations().len(), 1);
    }

    #[test]
    fn a_false_reject_is_found_at_once() {
        let record = Record::default();
        record.created(1);
        check(&record, Outcome::Rejected);
        assert!(record.violations()[0].contains("false reject"));
    }

    #[test]
    fn what_the_store_lost_is_found_at_the_end() {
        let record = Record::default();
        record.created(1);
        delete(&record);
        assert_eq!(record.violations(), [""; 0]);
        record.finish(|_| Final::Live);
        assert!(record.violations()[0].contains("lost write"));
    }
}
