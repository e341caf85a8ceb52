//! Cases: the look-up by digest.

use std::sync::Arc;

use gatekey_lease::{Nonce, Position};
use gatekey_model::TokenDigest;

use super::Fixture;
use super::samples::{create, new_token, revoke, tenant};

/// Unknown, live, revoked, each with the head of the log.
pub async fn a_digest_is_looked_up(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let genesis = store.head().await.expect("an answer");
    let unknown = store.find_by_digest(&TokenDigest::of(b"nobody's"), None).await.expect("an answer");
    assert_eq!((unknown.found, unknown.head, unknown.contains_holder), (None, genesis, false));

    let new = new_token(&acme, 0);
    let digest = new.digest;
    let token = create(&*store, new).await;
    let live = store.find_by_digest(&digest, None).await.expect("an answer");
    assert_eq!(live.found.expect("a token").revoked, None);
    assert_eq!((live.head, live.contains_holder), (genesis, false));

    let position = revoke(&*store, &token, 1).await.position;
    let revoked = store.find_by_digest(&digest, None).await.expect("an answer");
    assert_eq!(revoked.found.expect("a tombstone").revoked, Some(position.seq));
    assert_eq!((revoked.head, revoked.contains_holder), (position, false));
}

/// A look-up and a line agree on the epoch.
pub async fn a_digest_is_looked_up_in_an_epoch(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let head = store.open_line().await.expect("a line").head().await.expect("an answer");
    let unknown = store.find_by_digest(&TokenDigest::of(b"nobody's"), Some(head.position)).await;
    let unknown = unknown.expect("an answer");
    assert_eq!((unknown.head, unknown.epoch, unknown.contains_holder), (head.position, head.epoch, true));
}

/// Only the very entry counts: its number and its nonce. It need not be the newest.
pub async fn a_holders_entry_is_recognised(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let genesis = store.head().await.expect("an answer");
    let new = new_token(&acme, 0);
    let digest = new.digest;
    let token = create(&*store, new).await;
    let position = revoke(&*store, &token, 1).await.position;
    let forked =
        |position: Position| Position { nonce: Nonce::from_bits(!position.nonce.bits()), ..position };
    let cases = [
        (Some(genesis), true),
        (Some(position), true),
        (Some(forked(genesis)), false),
        (Some(forked(position)), false),
        (Some(Position { seq: position.seq, nonce: genesis.nonce }), false),
        (Some(Position { seq: position.seq.next(), nonce: position.nonce }), false),
        (None, false),
    ];
    for looked_up in [digest, TokenDigest::of(b"nobody's")] {
        for (holder, contained) in cases {
            let snapshot = store.find_by_digest(&looked_up, holder).await.expect("an answer");
            assert_eq!(snapshot.contains_holder, contained, "{holder:?}");
        }
    }
}
