//! Cases: the list.

use std::sync::Arc;

use super::Fixture;
use super::samples::{act, at, create, list, new_token, nonce, revoke, tenant};
use crate::ListCursor;

/// Nobody lists or deletes another tenant's tokens, and one of them is the same as none.
pub async fn tenants_are_apart(fixture: Arc<dyn Fixture>) {
    let (store, acme, other) = (fixture.store(), tenant("acme"), tenant("Acme"));
    let token = create(&*store, new_token(&acme, 0)).await;
    assert_eq!(list(&*store, &other).await, []);
    let by_other = store.revoke_token(&other, token.id, nonce(), &act(&other, 1)).await.expect("an answer");
    assert_eq!(by_other, None);
    assert_eq!(fixture.audit(&other).await, []);
    assert_eq!(list(&*store, &acme).await, [token]);
    assert_eq!(store.head().await.expect("an answer").seq.get(), 0);
}

/// By time of creation, whatever the order in which they were created; then by id.
pub async fn tokens_are_listed_newest_first(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    for seconds in [3, 1, 2, 3] {
        create(&*store, new_token(&acme, seconds)).await;
    }
    let listed = list(&*store, &acme).await;
    let order: Vec<_> = listed.iter().map(|token| (token.created, token.id)).collect();
    assert_eq!(order.iter().map(|(created, _)| *created).collect::<Vec<_>>(), [at(3), at(3), at(2), at(1)]);
    assert!(order.is_sorted_by(|newer, older| newer > older));
}

/// Page by page, 25 tokens of one moment come once each, whatever the size of the page.
pub async fn pages_of_equal_times_leave_nothing_out(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    for _ in 0..25 {
        create(&*store, new_token(&acme, 0)).await;
        create(&*store, new_token(&tenant("other"), 0)).await;
    }
    let all = list(&*store, &acme).await;
    assert_eq!(all.len(), 25);
    for size in [1, 7, 24, 25, 26] {
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = store.list_tokens(&acme, after, size).await.expect("an answer");
            assert!(page.len() <= size as usize);
            let Some(last) = page.last() else { break };
            after = Some(ListCursor { created: last.created, id: last.id });
            paged.extend(page);
        }
        assert_eq!(paged, all, "pages of {size}");
    }
}

/// An expired token stays listed until it is deleted.
pub async fn expired_tokens_are_listed_and_deleted_ones_are_not(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut new = new_token(&acme, 0);
    new.expires = at(1);
    let expired = create(&*store, new).await;
    let deleted = create(&*store, new_token(&acme, 0)).await;
    revoke(&*store, &deleted, 2).await;
    assert_eq!(list(&*store, &acme).await, std::slice::from_ref(&expired));
    revoke(&*store, &expired, 3).await;
    assert_eq!(list(&*store, &acme).await, []);
}
