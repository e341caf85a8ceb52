//! Cases: the log is trimmed, and tombstones go on telling what was in it.

use std::sync::Arc;

use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{Timestamp, Token};

use super::Fixture;
use super::samples::{act, at, create, new_token, nonce, revoke, tenant};
use crate::{OperatorStore, Store, Trim, Trimmed};

/// After every entry, the first one included, which is as old as the database.
fn later() -> Timestamp {
    Timestamp::from_unix_micros(4_000_000_000_000_000).expect("a moment")
}

/// Revokes one new token at each of these moments.
async fn revoke_at(store: &dyn Store, moments: &[i64]) -> Vec<(Token, Position)> {
    let mut revoked = Vec::new();
    for seconds in moments {
        let token = create(store, new_token(&tenant("acme"), 0)).await;
        let position = revoke(store, &token, *seconds).await.position;
        revoked.push((token, position));
    }
    revoked
}

async fn trim(store: &dyn OperatorStore, before: Timestamp, keep: u32, limit: u32) -> u64 {
    let first = log(store).await[0];
    let trim = Trim { before, keep, limit, from: Seq::GENESIS };
    let Trimmed { count, last } = store.trim_log(trim).await.expect("an answer");
    let trimmed = i64::try_from(count).expect("a few");
    assert_eq!(last.map(Seq::get), (trimmed > 0).then(|| first + trimmed - 1));
    count
}

/// The numbers in the log.
async fn log(store: &dyn OperatorStore) -> Vec<i64> {
    let entries = store.entries_from(Seq::GENESIS, 100).await.expect("an answer");
    entries.iter().map(|entry| entry.position.seq.get()).collect()
}

/// The newest stay, however old they are, and no more go than asked for.
pub async fn the_newest_entries_are_never_trimmed(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    assert_eq!(trim(&*store, later(), 1, 10).await, 0);
    revoke_at(&*store, &[1, 2, 3, 4, 5]).await;
    let head = store.head().await.expect("an answer");
    for (keep, limit, gone, left) in [
        (6, 10, 0, &[0, 1, 2, 3, 4, 5][..]),
        (4, 1, 1, &[1, 2, 3, 4, 5]),
        (4, 10, 1, &[2, 3, 4, 5]),
        (4, 10, 0, &[2, 3, 4, 5]),
        (1, 2, 2, &[4, 5]),
        (1, 10, 1, &[5]),
        (1, 10, 0, &[5]),
    ] {
        assert_eq!(trim(&*store, later(), keep, limit).await, gone, "all but {keep}, {limit} at the most");
        assert_eq!(log(&*store).await, left);
        assert_eq!(store.head().await.expect("an answer"), head);
    }
    let position = revoke_at(&*store, &[6]).await[0].1;
    assert_eq!(position.seq, head.seq.next(), "numbers go on");
    assert_eq!(log(&*store).await, [5, 6]);
    // What was trimmed just now is not looked at again.
    revoke_at(&*store, &[7, 8]).await;
    let next = Trim { before: later(), keep: 1, limit: 2, from: head.seq };
    let trimmed = store.trim_log(next).await.expect("an answer");
    assert_eq!(trimmed, Trimmed { count: 2, last: Some(position.seq) });
    let next = Trim { from: position.seq.next(), ..next };
    assert_eq!(store.trim_log(next).await.expect("an answer").count, 1);
    assert_eq!(log(&*store).await, [8]);
}

/// Entries that were written by a clock that is behind stay until those before them go: there is never a gap.
pub async fn a_log_is_trimmed_from_its_front(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    revoke_at(&*store, &[1, 2, 100, 3, 4, 101]).await;
    assert_eq!(trim(&*store, at(50), 1, 10).await, 0, "the first entry is as young as the database");
    assert_eq!(trim(&*store, later(), 6, 10).await, 1);
    assert_eq!(trim(&*store, at(50), 1, 10).await, 2);
    assert_eq!(log(&*store).await, [3, 4, 5, 6]);
    assert_eq!(trim(&*store, at(100), 1, 10).await, 0, "written at that moment is not before it");
    assert_eq!(trim(&*store, at(101), 1, 10).await, 3);
    assert_eq!(log(&*store).await, [6]);
}

/// Deletes of tokens whose entry is gone are as they were, and waiting for one is not taken for a history that forked.
pub async fn what_was_trimmed_is_known_by_its_tombstone(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let genesis = store.head().await.expect("an answer");
    let revoked = revoke_at(&*store, &[1, 2, 3]).await;
    assert_eq!(trim(&*store, later(), 1, 10).await, 3);
    let (token, position) = &revoked[0];
    let repeated = store.revoke_token(&acme, token.id, nonce(), &act(&acme, 4)).await.expect("an answer");
    let repeated = repeated.expect("it is there");
    assert_eq!((repeated.position, repeated.repeated), (*position, true));

    let forked =
        |position: Position| Position { nonce: Nonce::from_bits(!position.nonce.bits()), ..position };
    let mut asked = vec![genesis];
    for (_, position) in &revoked {
        asked.extend([forked(*position), *position]);
    }
    let mut contained = store.replica_rows(&asked).await.expect("an answer").contained;
    contained.sort_unstable_by_key(|position| position.seq);
    assert_eq!(contained, revoked.iter().map(|(_, position)| *position).collect::<Vec<_>>());

    // Whoever stood there has to begin anew.
    let digest = new_token(&acme, 0).digest;
    for (position, held) in [(revoked[0].1, false), (revoked[2].1, true)] {
        let snapshot = store.find_by_digest(&digest, Some(position)).await.expect("an answer");
        assert_eq!(snapshot.contains_holder, held);
    }
    // When it was is not known any more, all else is.
    let told = store.revoked_tokens(Seq::GENESIS, None, 10).await.expect("an answer");
    assert_eq!(told.iter().map(|told| told.at).collect::<Vec<_>>(), [None, None, Some(at(3))]);
    assert_eq!(told[0].position, revoked[0].1);
}

/// Trimming at once is trimming once.
pub async fn many_trim_at_once(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    revoke_at(&*store, &[1; 20]).await;
    let mut trimming = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        let trim = Trim { before: later(), keep: 5, limit: 100, from: Seq::GENESIS };
        trimming.spawn(async move { store.trim_log(trim).await.expect("an answer").count });
    }
    assert_eq!(trimming.join_all().await.into_iter().sum::<u64>(), 16);
    assert_eq!(log(&*store).await, [16, 17, 18, 19, 20]);
}
