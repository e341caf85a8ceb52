use super::*;

const TOKEN: Token = 7;

fn seen(place: Place, invoked: Nanos, returned: Nanos, answer: Answer) -> Operation {
    Operation::Check(Check { token: TOKEN, place, invoked, returned, answer })
}

fn accept(invoked: Nanos, returned: Nanos) -> Operation {
    seen(Place::Holder(1), invoked, returned, Answer::Accepted)
}

fn reject(invoked: Nanos, returned: Nanos) -> Operation {
    seen(Place::Replica(2), invoked, returned, Answer::Rejected)
}

const CREATED: Operation = Operation::Create { token: TOKEN, returned: 10 };

fn delete(invoked: Nanos, returned: Option<(Nanos, bool)>) -> Operation {
    Operation::Delete { token: TOKEN, invoked, returned }
}

/// Checks a history forwards and backwards, which may make no difference to what is broken.
fn broken(operations: &[Operation], end: Final) -> Vec<Violation> {
    let report = check(operations.iter().copied(), 100, |_| end);
    let reversed = check(operations.iter().rev().copied(), 100, |_| end);
    assert_eq!(report, reversed);
    report.violations
}

#[test]
fn an_accept_after_the_earliest_ok_is_stale() {
    let deletes = [delete(20, Some((50, true))), delete(25, Some((40, true))), delete(26, Some((30, false)))];
    let stale = [&[CREATED, accept(41, 42)], &deletes[..]].concat();
    let [violation] = broken(&stale, Final::Revoked)[..] else { panic!("one is broken") };
    assert!(matches!(violation, Violation::StaleAccept { deleted: 40, check } if check.invoked == 41));
    assert_eq!(violation.token(), TOKEN);
    let told = "stale accept: token 7 at holder 1, invoked at 0.000000041 s";
    assert!(violation.to_string().starts_with(told), "{violation}");
    let fine = [&[CREATED, accept(40, 99), accept(1, 60)], &deletes[..]].concat();
    assert_eq!(broken(&fine, Final::Revoked), []);
}

#[test]
fn the_latest_accept_counts_even_if_it_is_told_first() {
    let history = [accept(60, 61), accept(20, 21), delete(20, Some((50, true)))];
    assert!(matches!(broken(&history, Final::Revoked)[..], [Violation::StaleAccept { .. }]));
}

#[test]
fn a_delete_that_failed_or_never_returned_promises_nothing() {
    for returned in [None, Some((30, false))] {
        for end in [Final::Live, Final::Revoked] {
            let history = [CREATED, delete(20, returned), accept(60, 61), reject(70, 71)];
            assert_eq!(broken(&history, end), []);
        }
    }
}

#[test]
fn a_reject_between_create_and_the_first_delete_is_false() {
    let history = [CREATED, reject(11, 19), delete(20, Some((30, true)))];
    let [violation] = broken(&history, Final::Revoked)[..] else { panic!("one is broken") };
    assert!(matches!(violation, Violation::FalseReject { created: 10, .. }));
    assert!(violation.to_string().contains("replica 2"), "{violation}");
    // Before the create returned, or with a delete under way, it may be true.
    for (invoked, returned) in [(9, 19), (10, 19), (11, 20), (25, 26)] {
        let history = [CREATED, reject(invoked, returned), delete(20, Some((30, true)))];
        assert_eq!(broken(&history, Final::Revoked), [], "{invoked} {returned}");
    }
    assert!(matches!(broken(&[CREATED, reject(11, 12)], Final::Live)[..], [Violation::FalseReject { .. }]));
}

#[test]
fn nothing_is_known_of_a_token_that_nobody_created() {
    assert_eq!(broken(&[reject(1, 2)], Final::Absent), []);
}

#[test]
fn an_answer_that_tells_nothing_breaks_nothing() {
    let silent = seen(Place::Holder(1), 50, 60, Answer::CannotTell);
    assert_eq!(broken(&[CREATED, silent], Final::Live), []);
    assert_eq!(broken(&[CREATED, delete(20, Some((30, true))), silent], Final::Revoked), []);
}

#[test]
fn what_was_acknowledged_has_to_be_there_at_the_end() {
    for found in [Final::Absent, Final::Revoked] {
        let violations = broken(&[CREATED], found);
        assert_eq!(violations, [Violation::LostCreate { token: TOKEN, found }]);
        assert!(violations[0].to_string().starts_with("lost write"), "{found:?}");
    }
    for found in [Final::Absent, Final::Live] {
        let history = [CREATED, delete(20, Some((30, true)))];
        assert_eq!(broken(&history, found), [Violation::LostDelete { token: TOKEN, found }]);
    }
    assert_eq!(broken(&[CREATED], Final::Live), []);
}

#[test]
fn what_is_outside_the_promises_breaks_none() {
    let outside = Operation::Outside { token: TOKEN };
    let history = [CREATED, reject(11, 12), delete(20, Some((30, true))), accept(40, 41), outside];
    assert_eq!(broken(&history, Final::Live), []);
}

#[test]
fn races_and_probes_are_counted_by_pairs() {
    let history = [
        CREATED,
        delete(20, Some((50, true))),
        delete(30, None),
        accept(19, 60),
        accept(20, 21),
        reject(40, 41),
        accept(50, 51),
        reject(60, 61),
        reject(151, 152),
    ];
    let totals = check(history, 100, |_| Final::Revoked).totals;
    // The first delete races with 20, 40 and 50, the second with all from 40 on.
    assert_eq!(totals.races, 3 + 4);
    assert_eq!(totals.accepted_races, 2 + 1);
    assert_eq!(totals.probes, 1);
    let Totals { creates, deletes, deleted, accepted, rejected, cannot_tell, .. } = totals;
    assert_eq!((creates, deletes, deleted, accepted, rejected, cannot_tell), (1, 2, 1, 3, 3, 0));
    let mut twice = totals;
    twice.add(&totals);
    assert_eq!((twice.races, twice.rejected), (14, 6));
}

#[test]
fn a_million_checks_take_no_memory_of_their_own() {
    let mut checker = Checker::new(100);
    checker.created(TOKEN, 1);
    for time in 0..1_000_000 {
        checker.checked(Check {
            token: TOKEN,
            place: Place::Holder(1),
            invoked: 10 + time,
            returned: 11 + time,
            answer: Answer::Accepted,
        });
    }
    let report = checker.finish(|_| Final::Live);
    assert_eq!((report.violations.len(), report.totals.accepted), (0, 1_000_000));
}
