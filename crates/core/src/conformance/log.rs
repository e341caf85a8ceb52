//! Cases: the log of revocations.

use std::sync::Arc;

use gatekey_lease::Seq;

use super::Fixture;
use super::samples::{create, new_token, revoke, tenant};
use crate::LogEntry;

/// An empty store has one entry, number 0, which revokes nothing; it is the head.
pub async fn the_log_begins_with_its_genesis(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    store.ping().await.expect("an answer");
    let head = store.head().await.expect("an answer");
    assert_eq!(head.seq, Seq::GENESIS);
    let log = store.entries_from(Seq::GENESIS, 10).await.expect("an answer");
    assert_eq!(log, [LogEntry { position: head, revokes: None }]);
}

/// From a number on, itself included, as many as asked for; beyond the head there is nothing.
pub async fn the_log_is_read_from_anywhere(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut expected = store.entries_from(Seq::GENESIS, 10).await.expect("an answer");
    for seconds in 0..5 {
        let new = new_token(&acme, seconds);
        let digest = new.digest;
        let token = create(&*store, new).await;
        let position = revoke(&*store, &token, seconds).await.position;
        expected.push(LogEntry { position, revokes: Some(digest) });
    }
    for from in 0..=6_u8 {
        for limit in [1_u8, 2, 10] {
            let seq = Seq::new(from.into()).expect("a number");
            let read = store.entries_from(seq, limit.into()).await.expect("an answer");
            let wanted: Vec<_> = expected.iter().skip(from.into()).take(limit.into()).copied().collect();
            assert_eq!(read, wanted, "from {from}, {limit} at the most");
        }
    }
}
