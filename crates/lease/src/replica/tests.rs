use super::*;
use crate::log::{Entry, Head};
use crate::{Hello, HolderId, Nonce, Row, Up};

const LEASE: Duration = Duration::from_secs(10);
const TOKEN: Digest = Digest([1; 32]);
const EPOCH: Epoch = Epoch(1);
const STREAM: StreamId = StreamId(1);

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn position(seq: i64) -> Position {
    Position { seq: Seq::new(seq).expect("not negative"), nonce: Nonce::from_bits(7) }
}

fn entries(range: std::ops::RangeInclusive<i64>) -> Vec<Entry> {
    range.map(|seq| Entry { position: position(seq), revokes: (seq > 0).then_some(TOKEN) }).collect()
}

fn head(seq: i64) -> Head {
    Head { position: position(seq), epoch: EPOCH }
}

/// Renews at `t0`, when the log is at `upto`.
fn renew(replica: &mut Replica, t0: u64, upto: i64) -> Vec<Effect> {
    assert!(matches!(replica.renew(at(t0))[..], [Effect::CommitRow { lease: LEASE, .. }]));
    assert_eq!(replica.row_committed(false), vec![Effect::ReadHead]);
    let [Effect::ReadLog { from }] = replica.head_read(at(t0 + 1), head(upto))[..] else {
        panic!("the log is read after the head")
    };
    replica.log_read(at(t0 + 1), &entries(from.get()..=upto))
}

fn leased() -> Replica {
    let config = ReplicaConfig { id: ReplicaId(1), lease: LEASE, remembered: 4, rules: Rules::ALL };
    let mut replica = Replica::new(config);
    let confirm = Effect::Confirm { position: position(0), confirmed: 0, waited_out: 0 };
    assert_eq!(renew(&mut replica, 1, 0), vec![confirm]);
    assert_eq!(replica.lease_until(), at(11));
    replica
}

fn hello(number: u64, position: Option<Position>) -> Up {
    Up::Hello(Hello { holder: HolderId(9), number, position, epoch: EPOCH })
}

fn send(message: Down) -> Effect {
    Effect::Send { stream: STREAM, message }
}

/// A session with a grant that is over at 2 + 1.25 × 9 s.
fn granted() -> Replica {
    let mut replica = leased();
    assert_eq!(replica.receive(at(2), STREAM, hello(1, Some(position(0)))), vec![]);
    let grant = send(Down::Grant { id: 1, ttl: Duration::from_secs(9) });
    assert_eq!(replica.receive(at(2), STREAM, Up::Renew { id: 1, reset: 0 }), vec![grant]);
    replica
}

fn told(upto: i64) -> Vec<Effect> {
    let digests: Arc<[Digest]> = Arc::new([TOKEN]);
    let message = Down::Invalidate { position: position(upto), digests: Arc::clone(&digests) };
    vec![Effect::Drop(digests), send(message)]
}

#[test]
fn a_revocation_is_confirmed_when_the_session_did() {
    let mut replica = granted();
    assert_eq!(replica.wake(), vec![Effect::ReadLog { from: Seq::GENESIS }]);
    assert_eq!(replica.log_read(at(3), &entries(0..=1)), told(1));
    assert_eq!(replica.receive(at(4), STREAM, Up::Ack { position: position(0), reset: 0 }), vec![]);
    assert_eq!(replica.receive(at(4), STREAM, Up::Ack { position: position(1), reset: 7 }), vec![]);
    let confirm = Effect::Confirm { position: position(1), confirmed: 1, waited_out: 0 };
    assert_eq!(replica.receive(at(4), STREAM, Up::Ack { position: position(1), reset: 0 }), vec![confirm]);
}

#[test]
fn a_broken_stream_is_waited_out() {
    let mut replica = granted();
    assert_eq!(replica.broken(at(3), STREAM), vec![]);
    assert_eq!(replica.log_read(at(3), &entries(0..=1)), told(1)[..1]);
    let over = at(2).plus(Duration::from_millis(11_250));
    assert_eq!(replica.next_tick(), Some(over));
    assert_eq!(replica.tick(Moment::from_nanos(over.nanos() - 1)), vec![]);
    let confirm = Effect::Confirm { position: position(1), confirmed: 0, waited_out: 1 };
    assert_eq!(replica.tick(over), vec![confirm]);
    assert_eq!(replica.sessions(), 0);
}

#[test]
fn without_a_lease_nothing_is_granted_or_answered() {
    let mut replica = granted();
    assert_eq!(replica.receive(at(11), STREAM, Up::Renew { id: 2, reset: 0 }), vec![]);
    assert_eq!(replica.from_cache(at(11), None), None);
    assert_eq!(replica.send_read(at(11), TOKEN, None), None);
    let read = replica.send_read(at(10), TOKEN, Some(position(0))).expect("leased");
    assert!(replica.read_positive(at(11), read, true).is_err());
}

#[test]
fn a_positive_read_needs_the_position_of_its_sending() {
    let mut replica = leased();
    let read = replica.send_read(at(2), TOKEN, Some(position(0))).expect("leased");
    assert!(replica.read_positive(at(2), read, false).is_err());
    let read = replica.send_read(at(2), TOKEN, Some(position(1))).expect("leased");
    let answer = replica.read_positive(at(2), read, true).expect("leased");
    assert!(!answer.cacheable && answer.permit.is_some());
    let read = replica.send_read(at(2), TOKEN, Some(position(0))).expect("leased");
    replica.reconnected();
    replica.pool_closed();
    assert!(replica.read_positive(at(2), read, true).is_err());
}

#[test]
fn the_lease_is_not_extended_before_old_connections_are_closed() {
    let mut replica = leased();
    assert_eq!(replica.reconnected(), vec![Effect::ClosePool]);
    renew(&mut replica, 5, 0);
    assert_eq!(replica.lease_until(), at(11));
    replica.pool_closed();
    renew(&mut replica, 6, 0);
    assert_eq!(replica.lease_until(), at(16));
}

#[test]
fn a_holder_that_comes_back_gets_what_it_missed_or_begins_anew() {
    let mut replica = leased();
    replica.log_read(at(2), &entries(0..=5));
    let digests: Arc<[Digest]> = Arc::new([TOKEN, TOKEN]);
    let delta = Down::Invalidate { position: position(5), digests };
    assert_eq!(replica.receive(at(3), STREAM, hello(1, Some(position(3)))), vec![send(delta)]);
    let reset = Down::Reset { id: 1, position: position(5), epoch: EPOCH };
    let fork = Position { nonce: Nonce::from_bits(8), ..position(5) };
    for (number, place) in [(2, Some(position(0))), (3, Some(fork)), (4, None)] {
        let (old, stream) = (StreamId(number - 1), StreamId(number));
        let expected = vec![Effect::Close { stream: old }, Effect::Send { stream, message: reset.clone() }];
        assert_eq!(replica.receive(at(3), stream, hello(number, place)), expected);
    }
}

/// Nothing in the log tells of a token that was lost with its creation.
#[test]
fn a_holder_of_another_epoch_begins_anew_though_the_log_is_the_same() {
    let mut replica = leased();
    let Up::Hello(same) = hello(1, Some(position(0))) else { panic!("a Hello") };
    let other = Up::Hello(Hello { epoch: Epoch(9), ..same });
    let reset = Down::Reset { id: 1, position: position(0), epoch: EPOCH };
    assert_eq!(replica.receive(at(2), STREAM, other), vec![send(reset)]);
}

#[test]
fn only_the_first_message_of_a_stream_is_a_hello() {
    let mut replica = granted();
    let close = Effect::Close { stream: STREAM };
    assert_eq!(replica.receive(at(3), STREAM, hello(2, None)), vec![close]);
    assert_eq!(replica.sessions(), 1);
}

#[test]
fn a_position_not_held_yet_waits_for_the_log() {
    let mut replica = leased();
    let read = Effect::ReadLog { from: Seq::GENESIS };
    assert_eq!(replica.receive(at(2), STREAM, hello(1, Some(position(1)))), vec![read.clone()]);
    assert_eq!(replica.receive(at(2), STREAM, Up::Renew { id: 1, reset: 0 }), vec![]);
    let mut other = replica.clone();
    let confirm = Effect::Confirm { position: position(1), confirmed: 0, waited_out: 0 };
    assert_eq!(replica.log_read(at(3), &entries(0..=1)), [&told(1)[..1], &[confirm]].concat());
    assert!(matches!(
        replica.receive(at(3), STREAM, Up::Renew { id: 2, reset: 0 })[..],
        [Effect::Send { .. }]
    ));
    // A renewal that began after the Hello does not find it: history forked.
    let reset = Down::Reset { id: 1, position: position(0), epoch: EPOCH };
    assert_eq!(renew(&mut other, 3, 0), vec![send(reset)]);
}

#[test]
fn a_delayed_hello_does_not_replace_a_later_stream() {
    let mut replica = leased();
    replica.receive(at(2), STREAM, hello(2, Some(position(0))));
    let late = StreamId(2);
    let close = Effect::Close { stream: late };
    assert_eq!(replica.receive(at(2), late, hello(1, Some(position(0)))), vec![close]);
    assert_eq!(replica.sessions(), 1);
}

#[test]
fn a_fork_ends_the_lease_and_resets_everyone() {
    let mut replica = granted();
    let fork = Entry { position: Position { nonce: Nonce::from_bits(8), ..position(0) }, revokes: None };
    let effects = replica.log_read(at(3), &[fork]);
    assert_eq!(effects, vec![Effect::Clear, Effect::CommitRow { n: 2, lease: LEASE }]);
    assert_eq!(replica.lease_until(), Moment::NEVER);
    assert_eq!(replica.row_committed(false), vec![Effect::ReadHead]);
    let head = Head { position: fork.position, epoch: EPOCH };
    assert_eq!(replica.head_read(at(4), head), vec![Effect::ReadLog { from: Seq::GENESIS }]);
    let reset = Down::Reset { id: 1, position: fork.position, epoch: EPOCH };
    assert_eq!(replica.log_read(at(4), &[fork]), vec![send(reset)]);
    let ack = |reset| Up::Ack { position: fork.position, reset };
    assert_eq!(replica.receive(at(4), STREAM, ack(0)), vec![]);
    assert!(matches!(replica.receive(at(4), STREAM, ack(1))[..], [Effect::Confirm { .. }]));
}

#[test]
fn another_epoch_is_a_fork() {
    let mut replica = leased();
    replica.renew(at(2));
    replica.row_committed(false);
    let head = Head { epoch: Epoch(2), ..head(0) };
    let expected = vec![Effect::Clear, Effect::ReadLog { from: Seq::GENESIS }];
    assert_eq!(replica.head_read(at(3), head), expected);
}

#[test]
fn a_row_that_stood_still_is_removed() {
    let mut replica = leased();
    let row = |n| [Row { id: ReplicaId(2), n, lease: LEASE, ack: None }];
    let own = [Row { id: ReplicaId(1), n: 1, lease: LEASE, ack: None }];
    for (seconds, rows, removed) in
        [(0, own, false), (20, own, false), (20, row(1), false), (30, row(2), false), (42, row(2), false)]
    {
        assert_eq!(!replica.rows_read(at(seconds), &rows).is_empty(), removed, "{seconds}");
    }
    assert_eq!(replica.rows_read(at(43), &row(2)), vec![Effect::RemoveRow { id: ReplicaId(2), n: 2 }]);
}

#[test]
fn it_answers_what_is_under_way_before_it_leaves() {
    let mut replica = granted();
    assert_eq!(replica.close_sessions(at(3)), vec![Effect::Close { stream: STREAM }]);
    assert!(replica.from_cache(at(3), None).is_some());
    assert_eq!(replica.receive(at(3), STREAM, Up::Renew { id: 2, reset: 0 }), vec![], "no more grants");
    replica.receive(at(3), STREAM, Up::Release);
    assert_eq!(replica.tick(at(10)), vec![], "its own lease lives");
    let row = Effect::RemoveRow { id: ReplicaId(1), n: 1 };
    assert_eq!(replica.leave(at(10)), vec![row]);
    assert!(replica.from_cache(at(10), None).is_none());
}

#[test]
fn it_leaves_when_no_session_can_use_a_grant() {
    let mut replica = granted();
    assert_eq!(replica.leave(at(3)), vec![Effect::Close { stream: STREAM }]);
    assert_eq!(
        replica.receive(at(3), StreamId(2), hello(2, None)),
        vec![Effect::Close { stream: StreamId(2) }]
    );
    assert_eq!(replica.renew(at(3)), vec![]);
    let row = Effect::RemoveRow { id: ReplicaId(1), n: 1 };
    let effects = replica.receive(at(4), STREAM, Up::Release);
    assert_eq!(effects, vec![Effect::Close { stream: STREAM }]);
    assert_eq!(replica.tick(at(4)), vec![row]);
}

#[test]
fn who_is_dismissed_is_not_waited_for() {
    let mut replica = granted();
    assert_eq!(replica.streams(), [STREAM]);
    assert_eq!(Replica::dismiss(STREAM), send(Down::Leave));
    assert_eq!(replica.receive(at(3), STREAM, Up::Release), vec![Effect::Close { stream: STREAM }]);
    assert_eq!((replica.sessions(), replica.streams()), (0, vec![]));
    let row = Effect::RemoveRow { id: ReplicaId(1), n: 1 };
    assert_eq!(replica.leave(at(3)), vec![row]);
}
