//! Cases: what a delete leaves.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::TokenId;
use tokio::task::JoinSet;

use super::Fixture;
use super::samples::{act, create, list, new_token, nonce, revoke, tenant};
use crate::{LogEntry, Revocation};

/// The row stays and says where its revocation stands; the log has it under the caller's nonce, bit for
/// bit; who did it is on record.
pub async fn a_revocation_leaves_a_tombstone(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    for (bits, seq) in [(u64::MAX, 1), (1 << 63, 2), (0, 3), (i64::MAX as u64, 4)] {
        let new = new_token(&acme, 0);
        let digest = new.digest;
        let token = create(&*store, new).await;
        let nonce = Nonce::from_bits(bits);
        let revoked = store.revoke_token(&acme, token.id, nonce, &act(&acme, seq)).await.expect("an answer");
        let position = Position { seq: Seq::new(seq).expect("a number"), nonce };
        assert_eq!(revoked, Some(Revocation { position, repeated: false, max_lease: Duration::ZERO }));

        let snapshot = store.find_by_digest(&digest, None).await.expect("an answer");
        assert_eq!(snapshot.head, position);
        let tombstone = snapshot.found.expect("the row stays");
        assert_eq!((tombstone.token, tombstone.revoked), (token.clone(), Some(position.seq)));
        let log = store.entries_from(position.seq, 10).await.expect("an answer");
        assert_eq!(log, [LogEntry { position, revokes: Some(digest) }]);
        let audit = fixture.audit(&acme).await;
        let last = audit.last().expect("an entry");
        assert_eq!((last.action.as_str(), last.outcome.as_str()), ("delete", "done"));
        assert_eq!((last.token_id, last.call_id.clone()), (Some(token.id.get()), format!("call-{seq}")));
    }
}

/// A repeated delete is confirmed with the first one's position, is on record, and adds nothing to the
/// log.
pub async fn a_repeated_revocation_says_where_the_first_stands(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let token = create(&*store, new_token(&acme, 0)).await;
    let first = revoke(&*store, &token, 1).await;
    let another = create(&*store, new_token(&acme, 2)).await;
    let head = revoke(&*store, &another, 3).await.position;
    for seconds in [4, 5] {
        let again = revoke(&*store, &token, seconds).await;
        assert_eq!(again, Revocation { repeated: true, ..first });
    }
    assert_eq!(store.head().await.expect("an answer"), head);
    let outcomes: Vec<String> = fixture.audit(&acme).await.into_iter().map(|row| row.outcome).collect();
    assert_eq!(outcomes, ["done", "done", "done", "done", "repeated", "repeated"]);
}

/// An id that never was changes nothing, the audit log included: core records the refusal.
pub async fn deleting_what_isnt_there_writes_nothing(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let head = store.head().await.expect("an answer");
    for id in [1, i64::MAX] {
        let id = TokenId::parse(id).expect("an id");
        let revoked = store.revoke_token(&acme, id, nonce(), &act(&acme, 1)).await.expect("an answer");
        assert_eq!(revoked, None);
    }
    assert_eq!(store.head().await.expect("an answer"), head);
    assert_eq!(fixture.audit(&acme).await, []);
}

/// Of 16 deletes of one token at once, one is the first and all say the same position.
pub async fn concurrent_revocations_of_one_token_are_one(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let token = create(&*store, new_token(&acme, 0)).await;
    let mut deletes = JoinSet::new();
    for seconds in 1..=16 {
        let (store, token) = (Arc::clone(&store), token.clone());
        deletes.spawn(async move { revoke(&*store, &token, seconds).await });
    }
    let revoked = deletes.join_all().await;
    assert_eq!(revoked.iter().filter(|revoked| !revoked.repeated).count(), 1);
    let head = store.head().await.expect("an answer");
    assert_eq!(head.seq.get(), 1);
    assert!(revoked.iter().all(|revoked| revoked.position == head));
    assert_eq!(list(&*store, &acme).await, []);
}
