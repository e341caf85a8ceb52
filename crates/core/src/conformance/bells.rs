//! Cases: what a bell rings for.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use gatekey_lease::{Nonce, Position, ReplicaId};

use super::Fixture;
use super::samples::{create, new_token, replace, request_id, requested, revoke, tenant};
use crate::{Bell, Confirmation, Ring};

const LEASE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(7);

/// The next ring. Nothing rings, if the bound is reached.
async fn ring(bell: &mut dyn Bell) -> Ring {
    let ring = tokio::time::timeout(Duration::from_secs(20), bell.ring()).await;
    ring.expect("it rings").expect("it is not broken")
}

/// Gives up a wait that has begun and that nothing has rung for.
async fn give_up(bell: &mut dyn Bell) {
    let mut ring = pin!(bell.ring());
    let polled = std::future::poll_fn(|context| Poll::Ready(ring.as_mut().poll(context))).await;
    assert!(polled.is_pending());
}

/// For a delete, and for a create that replaces a token; for no other create, no repeated delete, and no renewal.
pub async fn a_bell_rings_for_each_revocation(fixture: Arc<dyn Fixture>) {
    let (store, ringer, acme) = (fixture.store(), fixture.store(), tenant("acme"));
    let mut bell = store.open_bell().await.expect("a bell");
    let mut line = ringer.open_line().await.expect("a line");
    for seconds in 0..3_u8 {
        let token = create(&*ringer, requested(&acme, 0, request_id(seconds), 1)).await;
        line.commit_row(ID, seconds.into(), LEASE).await.expect("an answer");
        give_up(&mut *bell).await;
        let (new, _) = replace(&*ringer, requested(&acme, 1, request_id(seconds), 1)).await;
        assert_eq!(ring(&mut *bell).await, Ring::Revocation);
        assert!(revoke(&*ringer, &token, 2).await.repeated);
        give_up(&mut *bell).await;
        revoke(&*ringer, &new, 3).await;
        assert_eq!(ring(&mut *bell).await, Ring::Revocation);
    }
}

/// For a confirmation that the row took, and for a row that is gone; for nothing that changed nothing.
pub async fn a_bell_rings_for_each_confirmation(fixture: Arc<dyn Fixture>) {
    let (store, ringer, acme) = (fixture.store(), fixture.store(), tenant("acme"));
    let mut bell = store.open_bell().await.expect("a bell");
    let mut line = ringer.open_line().await.expect("a line");
    let confirmed = |position| Confirmation { position, confirmed: 0, waited_out: 0 };
    let genesis = ringer.head().await.expect("an answer");
    let forked = Position { nonce: Nonce::from_bits(!genesis.nonce.bits()), ..genesis };
    for n in 0..3 {
        line.commit_row(ID, n, LEASE).await.expect("an answer");
        line.confirm(ID, confirmed(forked)).await.expect("an answer");
        line.confirm(ReplicaId(8), confirmed(genesis)).await.expect("an answer");
        line.remove_row(ID, n + 1).await.expect("an answer");
        // So whatever rings next rings for this.
        let token = create(&*ringer, new_token(&acme, 0)).await;
        revoke(&*ringer, &token, 1).await;
        assert_eq!(ring(&mut *bell).await, Ring::Revocation);
        give_up(&mut *bell).await;
        line.confirm(ID, confirmed(genesis)).await.expect("an answer");
        assert_eq!(ring(&mut *bell).await, Ring::Confirmation);
        give_up(&mut *bell).await;
        line.remove_row(ID, n).await.expect("an answer");
        assert_eq!(ring(&mut *bell).await, Ring::Confirmation);
    }
}

/// Every bell rings; for a burst it may ring once.
pub async fn every_bell_rings(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut bells = Vec::new();
    for _ in 0..3 {
        bells.push(store.open_bell().await.expect("a bell"));
    }
    for burst in 1..=5 {
        for _ in 0..burst {
            let token = create(&*store, new_token(&acme, 0)).await;
            revoke(&*store, &token, 1).await;
        }
        for bell in &mut bells {
            assert_eq!(ring(&mut **bell).await, Ring::Revocation);
        }
    }
}
