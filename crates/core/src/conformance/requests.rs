//! Cases: a create that is repeated under its request id.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Fixture;
use super::samples::{at, create, list, new_token, replace, request_id, requested, revoke, tenant};
use crate::{Insertion, NewToken};

const HOUR: i64 = 60 * 60;

/// A repeat makes a new token and deletes the first, exactly as a delete does.
pub async fn a_repeated_create_replaces(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let first = requested(&acme, 0, id, 1);
    let old = create(&*store, first.clone()).await;
    let repeat = requested(&acme, 1, id, 1);
    let (new, replaced) = replace(&*store, repeat.clone()).await;

    assert_ne!(new.id, old.id);
    assert!(!replaced.repeated);
    assert_eq!(replaced.position.nonce, repeat.request.expect("it has one").nonce);
    assert_eq!(store.head().await.expect("an answer"), replaced.position);
    let log = store.entries_from(replaced.position.seq, 10).await.expect("an answer");
    assert_eq!(log.first().and_then(|entry| entry.revokes), Some(first.digest));
    let tombstone = store.find_by_digest(&first.digest, None).await.expect("an answer").found;
    assert_eq!(tombstone.and_then(|found| found.revoked), Some(replaced.position.seq));
    assert_eq!(list(&*store, &acme).await, std::slice::from_ref(&new));
    let audit = fixture.audit(&acme).await;
    let mut written: Vec<_> =
        audit.iter().map(|row| (row.action.as_str(), row.outcome.as_str(), row.token_id)).collect();
    written.sort_unstable();
    let (old_id, new_id) = (Some(old.id.get()), Some(new.id.get()));
    assert_eq!(
        written,
        [("create", "done", old_id), ("create", "done", new_id), ("delete", "replaced", old_id)]
    );
    // A delete of the first token is now a repeated one, and says the same position.
    let again = revoke(&*store, &old, 2).await;
    assert_eq!((again.position, again.repeated), (replaced.position, true));
}

/// With another payload the call is refused and the token lives on.
pub async fn a_request_id_is_for_one_payload(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let token = create(&*store, requested(&acme, 0, id, 1)).await;
    let other = store.insert_token(requested(&acme, 1, id, 2)).await.expect("an answer");
    assert_eq!(other, Insertion::RequestIdReused);
    assert_eq!(list(&*store, &acme).await, [token]);
    assert_eq!(fixture.audit(&acme).await.len(), 1);
    replace(&*store, requested(&acme, 2, id, 1)).await;
}

/// Once its token was deleted, a request id makes no other.
pub async fn a_request_id_is_spent_by_a_delete(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let token = create(&*store, requested(&acme, 0, id, 1)).await;
    revoke(&*store, &token, 1).await;
    for seconds in [2, 3] {
        let repeat = store.insert_token(requested(&acme, seconds, id, 1)).await.expect("an answer");
        assert_eq!(repeat, Insertion::RequestIdSpent);
    }
    assert_eq!(list(&*store, &acme).await, []);
    assert_eq!(store.head().await.expect("an answer").seq.get(), 1);
}

/// Another issuer, subject, tenant or id is another intention.
pub async fn request_ids_of_others_are_apart(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    create(&*store, requested(&acme, 0, id, 1)).await;
    let mut by_issuer = requested(&acme, 1, id, 2);
    "https://other.example".clone_into(&mut by_issuer.act.issuer);
    let mut by_subject = requested(&acme, 2, id, 3);
    "grace".clone_into(&mut by_subject.act.subject);
    let by_tenant = requested(&tenant("other"), 3, id, 4);
    let by_id = requested(&acme, 4, request_id(2), 5);
    for new in [by_issuer, by_subject, by_tenant, by_id] {
        create(&*store, new).await;
    }
    assert_eq!(list(&*store, &acme).await.len(), 4);
}

/// After its window an id is as new, whatever the payload, and it is the new token's from then on.
pub async fn a_request_id_is_forgotten_after_its_window(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let first = create(&*store, requested(&acme, 0, id, 1)).await;
    // The window includes its first moment.
    let mut edge = requested(&acme, 24 * HOUR, id, 2);
    assert_eq!(edge.request.as_ref().expect("it has one").since, at(0));
    assert_eq!(store.insert_token(edge.clone()).await.expect("an answer"), Insertion::RequestIdReused);
    edge.request.as_mut().expect("it has one").since = at(1);
    let second = create(&*store, edge).await;
    assert_eq!(list(&*store, &acme).await, [second.clone(), first.clone()]);
    let (third, _) = replace(&*store, requested(&acme, 25 * HOUR, id, 2)).await;
    assert_eq!(list(&*store, &acme).await, [third, first]);
}

/// A day counts from the last repeat.
pub async fn a_repeat_opens_the_window_anew(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    create(&*store, requested(&acme, 0, id, 1)).await;
    replace(&*store, requested(&acme, 20 * HOUR, id, 1)).await;
    let (last, _) = replace(&*store, requested(&acme, 40 * HOUR, id, 1)).await;
    assert_eq!(list(&*store, &acme).await, [last]);
}

/// The limit counts after the replacement; one that was lowered since refuses, and the token lives on.
pub async fn a_replacement_needs_no_room(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let new = |seconds, limit| NewToken { limit, ..requested(&acme, seconds, id, 1) };
    create(&*store, new(0, 1)).await;
    let (token, replaced) = replace(&*store, new(1, 1)).await;
    let refused = store.insert_token(new(2, 0)).await.expect("an answer");
    assert_eq!(refused, Insertion::LimitReached);
    assert_eq!(list(&*store, &acme).await, [token]);
    assert_eq!(store.head().await.expect("an answer"), replaced.position);
    replace(&*store, new(3, 1)).await;
    let full = NewToken { limit: 1, ..new_token(&acme, 4) };
    assert_eq!(store.insert_token(full).await.expect("an answer"), Insertion::LimitReached);
}

/// A create that was refused for want of room has not used its request id.
pub async fn a_refused_create_leaves_no_trace(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let refused = NewToken { limit: 0, ..requested(&acme, 0, id, 1) };
    assert_eq!(store.insert_token(refused).await.expect("an answer"), Insertion::LimitReached);
    assert_eq!(fixture.audit(&acme).await, []);
    create(&*store, requested(&acme, 1, id, 2)).await;
}

/// 16 calls with one request id at once follow one another: one token lives, and it is the newest.
pub async fn concurrent_repeats_leave_one_live_token(fixture: Arc<dyn Fixture>) {
    let (store, acme, id) = (fixture.store(), tenant("acme"), request_id(1));
    let news: Vec<_> = (0..16).map(|seconds| requested(&acme, seconds, id, 1)).collect();
    let mut creates = JoinSet::new();
    for new in news.clone() {
        let store = Arc::clone(&store);
        creates.spawn(async move { store.insert_token(new).await.expect("an answer") });
    }
    let answers = creates.join_all().await;
    let first =
        answers.iter().filter(|answer| matches!(answer, Insertion::Created { replaced: None, .. })).count();
    let repeats = answers
        .iter()
        .filter(|answer| matches!(answer, Insertion::Created { replaced: Some(_), .. }))
        .count();
    assert_eq!((first, repeats), (1, 15));
    let mut live = Vec::new();
    for new in &news {
        let found = store.find_by_digest(&new.digest, None).await.expect("an answer").found.expect("a token");
        live.extend(found.revoked.is_none().then_some(found.token));
    }
    assert_eq!(live.len(), 1);
    assert_eq!(list(&*store, &acme).await, live);
    assert_eq!(store.head().await.expect("an answer").seq.get(), 15);
    let audit = fixture.audit(&acme).await;
    assert_eq!(audit.iter().filter(|row| row.outcome == "replaced").count(), 15);
    // The counter agrees: there is room for one more, if two may live.
    create(&*store, NewToken { limit: 2, ..new_token(&acme, 99) }).await;
}
