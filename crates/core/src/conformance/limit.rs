//! Cases: how many live tokens a tenant may have.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Fixture;
use super::samples::{create, list, new_token, revoke, tenant};
use crate::{Insertion, NewToken};

/// Of 50 creates at once, as many succeed as there is room for; the others write nothing.
pub async fn the_limit_is_exact(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut creates = JoinSet::new();
    for seconds in 0..50 {
        let (store, new) = (Arc::clone(&store), NewToken { limit: 20, ..new_token(&acme, seconds) });
        creates.spawn(async move { store.insert_token(new).await.expect("an answer") });
    }
    let answers = creates.join_all().await;
    let refused = answers.iter().filter(|answer| **answer == Insertion::LimitReached).count();
    let created = answers.iter().filter(|answer| matches!(answer, Insertion::Created { .. })).count();
    assert_eq!((created, refused), (20, 30));
    assert_eq!(list(&*store, &acme).await.len(), 20);
    assert_eq!(fixture.audit(&acme).await.len(), 20);
}

/// A deleted token no longer counts, and counts off only once.
pub async fn deleting_makes_room(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let new = |seconds| NewToken { limit: 2, ..new_token(&acme, seconds) };
    let token = create(&*store, new(0)).await;
    create(&*store, new(1)).await;
    assert_eq!(store.insert_token(new(2)).await.expect("an answer"), Insertion::LimitReached);
    revoke(&*store, &token, 3).await;
    revoke(&*store, &token, 4).await;
    create(&*store, new(5)).await;
    assert_eq!(store.insert_token(new(6)).await.expect("an answer"), Insertion::LimitReached);
}

/// A limit of zero lets nobody create, a tenant's first token included.
pub async fn a_limit_of_none_is_kept(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let none = NewToken { limit: 0, ..new_token(&acme, 0) };
    assert_eq!(store.insert_token(none).await.expect("an answer"), Insertion::LimitReached);
    assert_eq!(list(&*store, &acme).await, []);
}

/// One tenant's tokens don't count for another.
pub async fn limits_of_tenants_are_apart(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    for name in ["acme", "Acme", "acme "] {
        create(&*store, NewToken { limit: 1, ..new_token(&tenant(name), 0) }).await;
    }
}
