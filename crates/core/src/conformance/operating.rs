//! Cases: what an operator does to many tokens at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Position, ReplicaId, Seq};
use gatekey_model::{TenantId, TokenId, TokenKey};
use tokio::task::JoinSet;

use super::Fixture;
use super::samples::{act, create, list, new_token, nonce, revoke, tenant};
use crate::{Insertion, NewToken, Operator, OperatorStore, Selection, SystemClock};

async fn selected(store: &dyn OperatorStore, selection: &Selection) -> Vec<i64> {
    let found = store.select_tokens(selection, None, 100).await.expect("an answer");
    found.iter().map(|found| found.token.id.get()).collect()
}

async fn revoke_all(
    store: &dyn OperatorStore,
    ids: &[TokenId],
    by: &TenantId,
    seconds: i64,
) -> Vec<(TokenId, crate::Revocation)> {
    let tokens = ids.iter().map(|id| (*id, nonce())).collect();
    store.revoke_tokens(tokens, &act(by, seconds)).await.expect("an answer")
}

fn seq(number: i64) -> Seq {
    Seq::new(number).expect("a number")
}

/// Each way to name tokens finds its own, deleted ones with where that stands; pages leave nothing out.
pub async fn a_selection_finds_its_own(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let mut ids = Vec::new();
    let mut news = Vec::new();
    for (tenant, subject) in [(&acme, "ada"), (&acme, "bob"), (&globex, "ada")] {
        let mut new = new_token(tenant, 0);
        new.act.subject = subject.to_owned();
        news.push(new.clone());
        ids.push(create(&*store, new).await);
    }
    let numbers: Vec<i64> = ids.iter().map(|token| token.id.get()).collect();
    let revoked = revoke(&*store, &ids[1], 1).await;
    let digests = vec![news[0].digest, news[2].digest, new_token(&acme, 0).digest];
    let keys = vec![news[1].key.clone(), TokenKey::from_stored("gk_b_nobodys".to_owned())];
    let creator = |tenant| Selection::Creator { subject: "ada".to_owned(), tenant };
    for (selection, expected) in [
        (Selection::Digests(digests), &[numbers[0], numbers[2]][..]),
        (Selection::Keys(keys), &[numbers[1]]),
        (Selection::Id { tenant: acme.clone(), id: ids[0].id }, &[numbers[0]]),
        (Selection::Id { tenant: globex.clone(), id: ids[0].id }, &[]),
        (Selection::Tenant(acme.clone()), &[numbers[0], numbers[1]]),
        (creator(None), &[numbers[0], numbers[2]]),
        (creator(Some(globex.clone())), &[numbers[2]]),
    ] {
        assert_eq!(selected(&*store, &selection).await, expected, "{selection:?}");
    }
    let first = store.select_tokens(&Selection::Tenant(acme.clone()), None, 1).await.expect("an answer");
    assert_eq!((&first[0].token, first[0].digest, first[0].revoked), (&ids[0], news[0].digest, None));
    let rest = store.select_tokens(&Selection::Tenant(acme), Some(ids[0].id), 1).await.expect("an answer");
    assert_eq!((rest.len(), rest[0].revoked), (1, Some(revoked.position)));
}

/// One transaction: the log has an entry for each, without gaps and under its own nonce; tombstones, counts of tenants and
/// the audit log agree; what was deleted before is told again and adds nothing.
pub async fn many_are_revoked_as_one_is(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let full = |tenant: &TenantId| NewToken { limit: 2, ..new_token(tenant, 0) };
    let one = create(&*store, full(&acme)).await;
    let other = create(&*store, full(&globex)).await;
    let another = create(&*store, full(&acme)).await;
    let gone = create(&*store, full(&globex)).await;
    let before = revoke(&*store, &gone, 1).await;
    assert_eq!(store.insert_token(full(&acme)).await.expect("an answer"), Insertion::LimitReached);

    let nobodys = TokenId::parse(i64::MAX).expect("an id");
    let ids = [another.id, gone.id, nobodys, one.id, other.id];
    let revoked = revoke_all(&*store, &ids, &tenant("elsewhere"), 2).await;
    let told: HashSet<TokenId> = revoked.iter().map(|(id, _)| *id).collect();
    assert_eq!(told, HashSet::from([one.id, other.id, another.id, gone.id]));
    let mut entries = Vec::new();
    for (id, revocation) in &revoked {
        assert_eq!(revocation.repeated, *id == gone.id);
        if *id == gone.id {
            assert_eq!(revocation.position, before.position);
        } else {
            entries.push(revocation.position);
        }
    }
    entries.sort_by_key(|position| position.seq);
    let numbers: Vec<i64> = entries.iter().map(|position| position.seq.get()).collect();
    assert_eq!(numbers, [2, 3, 4]);
    assert_eq!(store.head().await.expect("an answer"), entries[2]);
    let log = store.entries_from(seq(2), 10).await.expect("an answer");
    assert_eq!(log.iter().map(|entry| entry.position).collect::<Vec<Position>>(), entries);
    for selected in store.select_tokens(&Selection::Tenant(acme.clone()), None, 10).await.expect("an answer")
    {
        let position = selected.revoked.expect("revoked");
        assert!(log.iter().any(|entry| entry.position == position && entry.revokes == Some(selected.digest)));
    }
    assert_eq!(list(&*store, &acme).await, []);
    create(&*store, full(&acme)).await;
    create(&*store, full(&acme)).await;
    let outcomes = |rows: Vec<super::AuditRow>| {
        let rows = rows.into_iter().filter(|row| row.call_id == "call-2");
        rows.map(|row| (row.action, row.outcome, row.token_id)).collect::<Vec<_>>()
    };
    let entry = |outcome: &str, id: TokenId| ("delete".to_owned(), outcome.to_owned(), Some(id.get()));
    let of_globex: HashSet<_> = outcomes(fixture.audit(&globex).await).into_iter().collect();
    assert_eq!(of_globex, HashSet::from([entry("done", other.id), entry("repeated", gone.id)]));
    assert_eq!(outcomes(fixture.audit(&acme).await).len(), 2);
}

/// Runs that name the same tokens in any order, beside single deletes: nobody waits in a circle, and each token is
/// revoked once.
pub async fn concurrent_runs_revoke_each_token_once(fixture: Arc<dyn Fixture>) {
    let (store, acme, globex) = (fixture.store(), tenant("acme"), tenant("globex"));
    let mut tokens = Vec::new();
    for number in 0..24 {
        tokens.push(create(&*store, new_token(if number % 2 == 0 { &acme } else { &globex }, 0)).await);
    }
    let mut runs = JoinSet::new();
    for turn in 0..6 {
        let (store, acme) = (Arc::clone(&store), acme.clone());
        let mut ids: Vec<TokenId> = tokens.iter().map(|token| token.id).collect();
        ids.rotate_left(turn * 4);
        if turn % 2 == 0 {
            ids.reverse();
        }
        runs.spawn(async move { revoke_all(&*store, &ids, &acme, 1).await });
    }
    for token in &tokens[..8] {
        let (store, token) = (Arc::clone(&store), token.clone());
        runs.spawn(async move { vec![(token.id, revoke(&*store, &token, 2).await)] });
    }
    let told: Vec<_> = runs.join_all().await.into_iter().flatten().collect();
    assert_eq!(told.iter().filter(|(_, revocation)| !revocation.repeated).count(), tokens.len());
    let positions: HashSet<_> = told.iter().map(|(id, revocation)| (*id, revocation.position)).collect();
    assert_eq!(positions.len(), tokens.len(), "all say the same of each");
    let log = store.entries_from(Seq::GENESIS, 100).await.expect("an answer");
    let numbers: Vec<i64> = log.iter().map(|entry| entry.position.seq.get()).collect();
    assert_eq!(numbers, (0..=24).collect::<Vec<i64>>());
}

/// The run is on record with its reason, and says where the log stood.
pub async fn a_run_is_on_record(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let token = create(&*store, new_token(&acme, 0)).await;
    let head = revoke(&*store, &token, 1).await.position;
    for (seconds, reason) in [(2, None), (3, Some("a leak in \u{fc}ber-repo"))] {
        let begun = store.begin_run(&act(&acme, seconds), reason).await.expect("an answer");
        assert_eq!((begun.position, begun.repeated), (head, true));
    }
    let audit = fixture.audit(&acme).await;
    let last: Vec<_> = audit[2..].iter().map(|row| (row.outcome.as_str(), row.token_id)).collect();
    assert_eq!(last, [("begun", None), ("begun: a leak in \u{fc}ber-repo", None)]);
}

/// All that is needed to revoke them elsewhere, from a number of the log on, page by page.
pub async fn revoked_tokens_are_told(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut positions = Vec::new();
    let mut news = Vec::new();
    for seconds in 1..=3 {
        let new = new_token(&acme, 0);
        news.push(new.clone());
        let token = create(&*store, new).await;
        create(&*store, new_token(&acme, 0)).await;
        positions.push(revoke(&*store, &token, seconds).await.position);
    }
    let all = store.revoked_tokens(Seq::GENESIS, None, 10).await.expect("an answer");
    for ((told, new), (position, seconds)) in all.iter().zip(&news).zip(positions.iter().zip(1..)) {
        assert_eq!((told.digest, &told.key, told.position), (new.digest, &new.key, *position));
        assert_eq!(told.at, Some(super::samples::at(seconds)));
    }
    assert_eq!(all.len(), 3);
    let page = store.revoked_tokens(seq(1), None, 1).await.expect("an answer");
    assert_eq!(page, [all[1].clone()]);
    assert_eq!(
        store.revoked_tokens(seq(1), Some(page[0].id), 10).await.expect("an answer"),
        [all[2].clone()]
    );
}

/// Replicas read another epoch from then on; the log and the longest lease stay as they are.
pub async fn an_epoch_begins(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let mut line = store.open_line().await.expect("a line");
    let head = line.head().await.expect("an answer");
    let mut epochs = HashSet::from([head.epoch]);
    let mut before = 0;
    for epoch in [7, 0x7fff_ffff, 1] {
        let begun = store.begin_epoch(epoch).await.expect("an answer");
        assert_eq!((begun.before, begun.head), (before, head.position));
        before = i64::from(epoch);
        let now = line.head().await.expect("an answer");
        assert_eq!(now.position, head.position);
        assert!(epochs.insert(now.epoch), "another one than ever before");
    }
}

/// The longest lease is waited out though no replica has a row, as in a backup that was made between two servers; and nothing
/// where there was never one.
pub async fn leases_are_waited_out_without_rows(fixture: Arc<dyn Fixture>) {
    const LEASE: Duration = Duration::from_millis(200);
    const ID: ReplicaId = ReplicaId(7);
    let store = fixture.store();
    let operator = Operator::new(Arc::clone(&store), Arc::new(SystemClock));
    let begun = operator.begin_epoch().await.expect("an answer");
    assert_eq!(begun.max_lease, Duration::ZERO);
    operator.leases_over(&begun).await;

    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ID, 1, LEASE).await.expect("an answer");
    line.remove_row(ID, 1).await.expect("an answer");
    let begun = operator.begin_epoch().await.expect("an answer");
    assert!(operator.leases_over(&begun).await >= LEASE + LEASE / 4);
}
