//! Cases: the rows of replicas, and the lines by which they are kept.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Entry, Nonce, Position, ReplicaId, Row, RowAck, Seq};
use tokio::task::JoinSet;

use super::Fixture;
use super::samples::{act, create, new_token, nonce, replace, request_id, requested, revoke, tenant};
use crate::{Confirmation, ReplicaLine, Revocation, Store};

const LEASE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);

async fn line(store: &dyn Store) -> Box<dyn ReplicaLine> {
    store.open_line().await.expect("a line")
}

async fn rows(store: &dyn Store) -> Vec<Row> {
    store.replica_rows(&[]).await.expect("an answer").rows
}

/// The row of [`ID`], which is there.
async fn row(store: &dyn Store) -> Row {
    rows(store).await.into_iter().find(|row| row.id == ID).expect("the row is there")
}

fn confirmation(position: Position) -> Confirmation {
    Confirmation { position, confirmed: 3, waited_out: 1 }
}

/// The entry of the same number in another history.
fn forked(position: Position) -> Position {
    Position { nonce: Nonce::from_bits(!position.nonce.bits()), ..position }
}

/// Creates a token and revokes it under this nonce.
async fn revoke_one(store: &dyn Store, nonce: Nonce) -> Revocation {
    let acme = tenant("acme");
    let token = create(store, new_token(&acme, 0)).await;
    let revoked = store.revoke_token(&acme, token.id, nonce, &act(&acme, 1)).await.expect("an answer");
    revoked.expect("the token exists")
}

/// A row is missing once; then it is counted, bit for bit, and everyone reads it at once.
pub async fn a_row_is_committed_and_counted(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let mut line = line(&*store).await;
    assert_eq!(rows(&*store).await, []);
    for (n, missing) in [(1, true), (2, false), (3, false), (u64::MAX, false), (1 << 63, false)] {
        assert_eq!(line.commit_row(ID, n, LEASE).await.expect("an answer"), missing, "{n}");
        let expected = [Row { id: ID, n, lease: LEASE, ack: None }];
        assert_eq!(rows(&*store).await, expected);
        assert_eq!(line.rows().await.expect("an answer"), expected);
    }
    // Another lease is written as well.
    assert!(!line.commit_row(ID, 7, 2 * LEASE).await.expect("an answer"));
    assert_eq!(row(&*store).await, Row { id: ID, n: 7, lease: 2 * LEASE, ack: None });
}

/// A replica that comes back on another line finds its row as it was.
pub async fn a_row_outlives_its_line(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let genesis = store.head().await.expect("an answer");
    let mut first = line(&*store).await;
    first.commit_row(ID, 1, LEASE).await.expect("an answer");
    first.confirm(ID, confirmation(genesis)).await.expect("an answer");
    drop(first);
    let mut second = line(&*store).await;
    assert!(!second.commit_row(ID, 2, LEASE).await.expect("an answer"));
    assert_eq!(row(&*store).await.ack.map(|ack| ack.position), Some(genesis));
}

/// Only the row that still has the count that was seen is removed, by whomever.
pub async fn a_row_is_removed_at_its_count_only(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let (mut own, mut other) = (line(&*store).await, line(&*store).await);
    let neighbour = ReplicaId(u128::MAX);
    other.commit_row(neighbour, 1, LEASE).await.expect("an answer");
    for n in 1..=3 {
        own.commit_row(ID, n, LEASE).await.expect("an answer");
    }
    for n in [0, 1, 2, 4] {
        other.remove_row(ID, n).await.expect("an answer");
        assert_eq!(row(&*store).await.n, 3, "removed at {n}");
    }
    other.remove_row(ID, 3).await.expect("an answer");
    other.remove_row(ID, 3).await.expect("what is gone is gone");
    assert_eq!(rows(&*store).await, [Row { id: neighbour, n: 1, lease: LEASE, ack: None }]);
    other.remove_row(neighbour, 1).await.expect("an answer");
    assert_eq!(rows(&*store).await, []);
}

/// A row that others have removed is missing, and confirms nothing when it comes back.
pub async fn a_row_comes_back_without_its_confirmation(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let genesis = store.head().await.expect("an answer");
    let (mut own, mut other) = (line(&*store).await, line(&*store).await);
    own.commit_row(ID, 1, LEASE).await.expect("an answer");
    own.confirm(ID, confirmation(genesis)).await.expect("an answer");
    other.remove_row(ID, 1).await.expect("an answer");
    // Nobody's confirmation: of no row.
    own.confirm(ID, confirmation(genesis)).await.expect("an answer");
    assert_eq!(rows(&*store).await, []);
    assert!(own.commit_row(ID, 2, LEASE).await.expect("an answer"));
    assert_eq!(rows(&*store).await, [Row { id: ID, n: 2, lease: LEASE, ack: None }]);
}

/// A renewal and a removal by another at the same moment: whichever is first, the replica has its row after its
/// renewal, and knows whether that confirms nothing.
pub async fn a_removal_never_hits_a_renewed_row(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let genesis = store.head().await.expect("an answer");
    let (mut own, mut other) = (line(&*store).await, line(&*store).await);
    own.commit_row(ID, 1, LEASE).await.expect("an answer");
    for n in 1..100 {
        own.confirm(ID, confirmation(genesis)).await.expect("an answer");
        let (missing, removed) = tokio::join!(own.commit_row(ID, n + 1, LEASE), other.remove_row(ID, n));
        removed.expect("an answer");
        let row = row(&*store).await;
        assert_eq!(row.n, n + 1);
        assert_eq!(row.ack.is_none(), missing.expect("an answer"));
    }
}

/// The longest lease that was ever given comes back from every revocation: of a delete, of a repeated one, and
/// of a replacement. A shorter one, or none any more, does not lower it.
pub async fn the_longest_lease_is_never_lowered(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut line = line(&*store).await;
    let deleted = create(&*store, new_token(&acme, 0)).await;
    assert_eq!(revoke(&*store, &deleted, 1).await.max_lease, Duration::ZERO);
    for (seconds, longest) in [(10, 10), (2, 10), (120, 120), (119, 120)] {
        line.commit_row(ID, seconds, Duration::from_secs(seconds)).await.expect("an answer");
        let (new, longest) = (request_id(seconds.try_into().expect("small")), Duration::from_secs(longest));
        assert_eq!(revoke_one(&*store, nonce()).await.max_lease, longest);
        assert_eq!(revoke(&*store, &deleted, 2).await.max_lease, longest);
        create(&*store, requested(&acme, 3, new, 1)).await;
        let (_, replaced) = replace(&*store, requested(&acme, 4, new, 1)).await;
        assert_eq!(replaced.max_lease, longest);
    }
    line.remove_row(ID, 119).await.expect("an answer");
    assert_eq!(rows(&*store).await, []);
    assert_eq!(revoke_one(&*store, nonce()).await.max_lease, Duration::from_mins(2));
}

/// A replica confirms an entry that the log holds, and keeps it over its renewals. Another entry, be it of the
/// same number, changes nothing.
pub async fn a_confirmation_is_of_a_very_entry(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let mut line = line(&*store).await;
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let mut before = None;
    for bits in [u64::MAX, 1 << 63, 0, i64::MAX as u64] {
        let position = revoke_one(&*store, Nonce::from_bits(bits)).await.position;
        let not_yet = Position { seq: position.seq.next(), ..position };
        for other in [forked(position), not_yet] {
            line.confirm(ID, confirmation(other)).await.expect("an answer");
            assert_eq!(row(&*store).await.ack, before, "{other}");
        }
        line.confirm(ID, confirmation(position)).await.expect("an answer");
        let ack = Some(RowAck { position, in_log: true, confirmed: 3, waited_out: 1 });
        assert_eq!(row(&*store).await, Row { id: ID, n: 1, lease: LEASE, ack });
        before = ack;
    }
    for n in 2..4 {
        assert!(!line.commit_row(ID, n, LEASE).await.expect("an answer"));
        assert_eq!(row(&*store).await, Row { id: ID, n, lease: LEASE, ack: before });
    }
    // No other row than its own.
    line.confirm(ReplicaId(1), confirmation(store.head().await.expect("an answer")))
        .await
        .expect("an answer");
    assert_eq!(rows(&*store).await.len(), 1);
}

/// With the rows comes which of some positions the log contains: the very entries only.
pub async fn positions_are_looked_up_with_the_rows(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let mut line = line(&*store).await;
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    let mut log = vec![store.head().await.expect("an answer")];
    for bits in [u64::MAX, 1 << 63, 0, i64::MAX as u64] {
        log.push(revoke_one(&*store, Nonce::from_bits(bits)).await.position);
    }
    line.confirm(ID, confirmation(log[1])).await.expect("an answer");
    let mut asked: Vec<_> = log.iter().flat_map(|position| [forked(*position), *position]).collect();
    asked.push(Position { seq: log[4].seq.next(), ..log[4] });
    let read = store.replica_rows(&asked).await.expect("an answer");
    assert_eq!(read.rows.len(), 1);
    let mut contained = read.contained;
    contained.sort_unstable_by_key(|position| position.seq);
    assert_eq!(contained, log);
    // What is not asked about is not answered, confirmed or not.
    assert_eq!(store.replica_rows(&[]).await.expect("an answer").contained, []);
    assert_eq!(store.replica_rows(&[log[2], forked(log[1])]).await.expect("an answer").contained, [log[2]]);
}

/// A line reads the head and the log as everybody does; the epoch stays as it is.
pub async fn a_line_reads_the_head_and_the_log(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut line = line(&*store).await;
    let first = line.head().await.expect("an answer");
    assert_eq!(first.position, store.head().await.expect("an answer"));
    let mut expected = vec![Entry { position: first.position, revokes: None }];
    for seconds in 0..4 {
        let new = new_token(&acme, seconds);
        let digest = gatekey_lease::Digest(*new.digest.as_bytes());
        let token = create(&*store, new).await;
        let position = revoke(&*store, &token, seconds).await.position;
        expected.push(Entry { position, revokes: Some(digest) });
        let head = line.head().await.expect("an answer");
        assert_eq!((head.position, head.epoch), (position, first.epoch));
    }
    for from in 0..=5_u8 {
        for limit in [1_u8, 2, 10] {
            let seq = Seq::new(from.into()).expect("a number");
            let read = line.entries_from(seq, limit.into()).await.expect("an answer");
            let wanted: Vec<_> = expected.iter().skip(from.into()).take(limit.into()).copied().collect();
            assert_eq!(read, wanted, "from {from}, {limit} at the most");
        }
    }
}

/// Many replicas renew, confirm and leave at once, while tokens are deleted; none disturbs another.
pub async fn many_lines_at_once(fixture: Arc<dyn Fixture>) {
    const RENEWALS: u64 = 10;
    let store = fixture.store();
    let mut replicas = JoinSet::new();
    for id in 0..12 {
        let store = Arc::clone(&store);
        replicas.spawn(async move {
            let id = ReplicaId(id);
            let mut line = line(&*store).await;
            for n in 1..=RENEWALS {
                assert_eq!(line.commit_row(id, n, LEASE).await.expect("an answer"), n == 1);
                revoke_one(&*store, nonce()).await;
                let head = line.head().await.expect("an answer").position;
                line.confirm(id, confirmation(head)).await.expect("an answer");
                let own = line.rows().await.expect("an answer").into_iter().find(|row| row.id == id);
                let ack = Some(RowAck { position: head, in_log: true, confirmed: 3, waited_out: 1 });
                assert_eq!(own, Some(Row { id, n, lease: LEASE, ack }));
            }
            if id.0.is_multiple_of(2) {
                line.remove_row(id, RENEWALS).await.expect("an answer");
            }
        });
    }
    replicas.join_all().await;
    let mut left: Vec<_> = rows(&*store).await.into_iter().map(|row| row.id.0).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 3, 5, 7, 9, 11]);
}

/// Tokens are found all the while that the connections for it are renewed.
pub async fn reads_go_on_while_they_are_renewed(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let new = new_token(&acme, 0);
    let digest = new.digest;
    let token = create(&*store, new).await;
    let mut readers = JoinSet::new();
    for _ in 0..8 {
        let (store, token) = (Arc::clone(&store), token.clone());
        readers.spawn(async move {
            for _ in 0..50 {
                let found = store.find_by_digest(&digest, None).await.expect("an answer").found;
                assert_eq!(found.map(|found| found.token).as_ref(), Some(&token));
            }
        });
    }
    while !readers.is_empty() {
        store.renew_connections().await;
        readers.join_next().await.expect("some are left").expect("every read had its answer");
    }
}
