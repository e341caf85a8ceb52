use std::time::Duration;

use super::*;
use crate::{Down, Epoch, Hello, Nonce, Seq};

const TOKEN: Digest = Digest([1; 32]);

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn position(seq: i64) -> Position {
    Position { seq: Seq::new(seq).expect("not negative"), nonce: Nonce::from_bits(7) }
}

fn connected() -> Holder {
    let mut holder = Holder::new(HolderId(1), Rules::ALL);
    let hello = Hello { holder: HolderId(1), number: 1, position: None, epoch: Epoch(0) };
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Send(Up::Hello(hello))];
    assert_eq!(holder.connected(), expected);
    let ack = HolderEffect::Send(Up::Ack { position: position(0), reset: 1 });
    let reset = Down::Reset { id: 1, position: position(0), epoch: Epoch(3) };
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Clear, ack];
    assert_eq!(holder.receive(at(0), reset), expected);
    holder
}

fn leased() -> Holder {
    let mut holder = connected();
    assert_eq!(holder.renew(at(1)), vec![HolderEffect::Send(Up::Renew { id: 1, reset: 1 })]);
    let grant = Down::Grant { id: 1, ttl: Duration::from_secs(10) };
    assert_eq!(holder.receive(at(3), grant), vec![HolderEffect::Lease(at(11))]);
    holder
}

#[test]
fn a_lease_is_counted_from_the_sending_of_its_renew() {
    assert_eq!(leased().lease_until(), at(11));
}

#[test]
fn a_grant_that_answers_nothing_counts_for_nothing() {
    let mut holder = leased();
    for id in [0, 1, 2] {
        let grant = Down::Grant { id, ttl: Duration::from_secs(99) };
        assert_eq!(holder.receive(at(4), grant), vec![], "{id}");
    }
}

#[test]
fn a_revocation_taints_drops_and_then_confirms() {
    let mut holder = leased();
    let Begun::Lead(flight) = holder.miss(at(4), TOKEN) else { panic!("nobody asked before") };
    assert_eq!(holder.send(flight), Some(position(0)));
    let digests: Arc<[Digest]> = Arc::new([TOKEN]);
    let message = Down::Invalidate { position: position(1), digests: Arc::clone(&digests) };
    let ack = HolderEffect::Send(Up::Ack { position: position(1), reset: 1 });
    assert_eq!(holder.receive(at(5), message), vec![HolderEffect::Drop(digests), ack]);
    assert!(holder.answered(flight, true).is_none());
}

#[test]
fn a_new_stream_ends_the_lease_and_says_where_the_cache_stands() {
    let mut holder = leased();
    let hello = Hello { holder: HolderId(1), number: 2, position: Some(position(0)), epoch: Epoch(3) };
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Send(Up::Hello(hello))];
    assert_eq!(holder.connected(), expected);
    // The answer to the old stream's Renew, had it been kept.
    assert_eq!(holder.receive(at(4), Down::Grant { id: 1, ttl: Duration::from_secs(9) }), vec![]);
}

#[test]
fn a_release_comes_after_the_end_of_the_lease_and_nothing_after_it() {
    let mut holder = leased();
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Send(Up::Release)];
    assert_eq!(holder.release(), expected);
    assert_eq!(holder.renew(at(5)), vec![]);
}

#[test]
fn a_reset_of_its_own_forgets_everything() {
    let mut holder = leased();
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Clear];
    assert_eq!(holder.reset_all(HolderId(2)), expected);
    assert_eq!(holder.position(), None);
    assert_eq!(holder.renew(at(5)), vec![]);
}

#[test]
fn after_a_reset_of_its_own_it_is_another_holder() {
    let mut holder = leased();
    // The original of a copied machine may go on under the first id, with its lease.
    holder.reset_all(HolderId(2));
    let hello = Hello { holder: HolderId(2), number: 1, position: None, epoch: Epoch(0) };
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Send(Up::Hello(hello))];
    assert_eq!(holder.connected(), expected);
}

#[test]
fn who_is_asked_to_leave_releases_first() {
    let mut holder = leased();
    let expected = vec![HolderEffect::Lease(Moment::NEVER), HolderEffect::Send(Up::Release)];
    assert_eq!(holder.receive(at(4), Down::Leave), expected);
    assert_eq!(holder.renew(at(5)), vec![]);
    assert!(matches!(
        holder.connected()[..],
        [HolderEffect::Lease(Moment::NEVER), HolderEffect::Send(Up::Hello(_))]
    ));
}
