use super::*;
use crate::{Nonce, RowAck, Seq};

const LEASE: Duration = Duration::from_secs(10);
const S: Position = Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(7) };

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn row(id: u128, ack: Option<RowAck>) -> Row {
    Row { id: ReplicaId(id), n: 1, lease: LEASE, ack }
}

fn acked(in_log: bool) -> RowAck {
    RowAck { position: S, in_log, confirmed: 3, waited_out: 1 }
}

fn read(rows: Vec<Row>) -> Rows {
    Rows { rows, contains: true }
}

fn committed() -> Deletion {
    let mut deletion = Deletion::begin(at(0), at(60), Rules::ALL);
    assert_eq!(deletion.committed(at(1), S, LEASE * 3), Next::Wait { until: at(1).plus(LEASE * 15 / 4) });
    deletion
}

fn receipt(confirmed: u32, waited_out: u32, elapsed: Duration) -> Next {
    Next::Return(Receipt {
        position: S,
        holders_confirmed: confirmed,
        leases_waited_out: waited_out,
        elapsed,
    })
}

#[test]
fn without_rows_nobody_is_awaited() {
    assert_eq!(committed().rows(at(2), &read(vec![])), receipt(0, 0, Duration::from_secs(2)));
}

#[test]
fn it_returns_when_everyone_confirmed_or_is_gone() {
    let mut deletion = committed();
    let until = at(1).plus(LEASE * 5 / 4);
    assert_eq!(deletion.rows(at(1), &read(vec![row(1, None), row(2, None)])), Next::Wait { until });
    // Who comes later is not awaited, and the confirmation of another history is none.
    let rows = read(vec![row(1, Some(acked(false))), row(3, None)]);
    assert_eq!(deletion.rows(at(2), &rows), Next::Wait { until });
    let rows = read(vec![row(1, Some(acked(true))), row(3, None)]);
    assert_eq!(deletion.rows(at(3), &rows), receipt(3, 2, Duration::from_secs(3)));
}

#[test]
fn it_returns_by_time_counted_from_the_commit() {
    let mut deletion = committed();
    let until = at(1).plus(LEASE * 5 / 4);
    let just_before = Moment::from_nanos(until.nanos() - 1);
    assert_eq!(deletion.rows(at(1), &read(vec![row(1, None)])), Next::Wait { until });
    assert_eq!(deletion.tick(just_before), Next::Wait { until });
    assert_eq!(deletion.tick(until), receipt(0, 1, until.since(at(0))));
}

#[test]
fn the_longest_lease_ever_is_waited_out_if_rows_cannot_be_read() {
    let mut deletion = committed();
    let until = at(1).plus(LEASE * 15 / 4);
    assert_eq!(deletion.tick(at(20)), Next::Wait { until });
    assert_eq!(deletion.tick(until), receipt(0, 1, until.since(at(0))));
}

#[test]
fn a_repeat_waits_from_when_it_saw_the_tombstone() {
    let mut deletion = Deletion::begin(at(0), at(60), Rules::ALL);
    assert_eq!(deletion.seen(at(5), S, LEASE), Next::Wait { until: at(5).plus(LEASE * 5 / 4) });
    assert_eq!(
        deletion.rows(at(6), &read(vec![row(1, Some(acked(true)))])),
        receipt(3, 1, Duration::from_secs(6))
    );
}

#[test]
fn at_the_deadline_it_says_when_it_will_be_in_force() {
    let mut deletion = Deletion::begin(at(0), at(3), Rules::ALL);
    assert_eq!(deletion.tick(at(9)), Next::Wait { until: at(3) });
    assert_eq!(deletion.committed(at(1), S, LEASE), Next::Wait { until: at(3) });
    let effective_in = Duration::from_millis(10_500);
    assert_eq!(deletion.tick(at(3)), Next::Late { position: S, effective_in });
}

#[test]
fn an_entry_that_the_log_lost_is_not_confirmed_by_anyone() {
    let rows = Rows { rows: vec![row(1, Some(acked(true)))], contains: false };
    assert_eq!(committed().rows(at(2), &rows), Next::Lost);
}
