//! Cases: what is created is what is found, and who did it is on record.

use std::sync::Arc;

use gatekey_model::{TenantId, Timestamp, TokenName, TokenType};

use super::samples::{act, at, create, list, new_token, revoke, tenant};
use super::{AuditRow, Fixture};
use crate::{Action, AuditEntry, NewToken, Outcome, StoreError, StoredToken};

/// A token comes back by its digest and in the list as it was created, and its creation is on record.
pub async fn a_token_is_found_as_it_was_created(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut new = new_token(&acme, 7);
    new.kind = TokenType::Realtime;
    let token = create(&*store, new.clone()).await;

    assert_eq!((&token.name, &token.key, token.kind), (&new.name, &new.key, TokenType::Realtime));
    assert_eq!((&token.tenant, token.creator.as_str()), (&acme, "ada"));
    assert_eq!((token.created, token.expires), (at(7), new.expires));
    let found = store.find_by_digest(&new.digest, None).await.expect("an answer").found;
    assert_eq!(found, Some(StoredToken { token: token.clone(), revoked: None }));
    assert_eq!(list(&*store, &acme).await, std::slice::from_ref(&token));
    let recorded = AuditRow {
        at: at(7),
        issuer: "https://issuer.example".to_owned(),
        subject: "ada".to_owned(),
        action: "create".to_owned(),
        token_id: Some(token.id.get()),
        call_id: "call-7".to_owned(),
        outcome: "done".to_owned(),
    };
    assert_eq!(fixture.audit(&acme).await, [recorded]);
}

/// Emoji, right-to-left text and the longest names come back letter for letter; so do tenants.
pub async fn every_character_is_kept(fixture: Arc<dyn Fixture>) {
    let store = fixture.store();
    let longest = "😀".repeat(255);
    let names =
        ["a", "🎙️ live", "מפתח ייצור", "مفتاح", "日本語", "it's \"quoted\" \\ %_;--", "e\u{301} é", &longest];
    for name in names {
        let of = TenantId::parse(name).expect("a tenant");
        let mut new = new_token(&of, 0);
        new.name = TokenName::parse(name).expect("a name");
        new.act.subject = format!("subject {name}");
        let digest = new.digest;
        let token = create(&*store, new).await;
        assert_eq!((token.name.as_str(), token.tenant.as_str()), (name, name));
        assert_eq!(list(&*store, &of).await, std::slice::from_ref(&token));
        let found = store.find_by_digest(&digest, None).await.expect("an answer").found;
        assert_eq!(found.map(|found| found.token), Some(token));
        assert_eq!(fixture.audit(&of).await[0].subject, format!("subject {name}"));
    }
}

/// The first and the last moment that there is are kept to the microsecond.
pub async fn extremes_are_kept(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let first = Timestamp::from_unix_micros(-62_167_219_200_000_000).expect("the year 0");
    let last = Timestamp::from_unix_micros(253_402_300_799_999_999).expect("the year 9999");
    let mut new = new_token(&acme, 0);
    (new.act.at, new.expires) = (first, last);
    let digest = new.digest;
    create(&*store, new).await;
    let found = store.find_by_digest(&digest, None).await.expect("an answer").found.expect("a token");
    assert_eq!((found.token.created, found.token.expires), (first, last));
}

/// A digest that is taken, by a living token or a deleted one, can't be taken again; nothing is written.
pub async fn no_digest_is_used_twice(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let new = new_token(&acme, 0);
    let again = NewToken { digest: new.digest, ..new_token(&tenant("other"), 1) };
    let token = create(&*store, new).await;
    assert!(matches!(store.insert_token(again.clone()).await, Err(StoreError::Broken(_))));
    revoke(&*store, &token, 2).await;
    assert!(matches!(store.insert_token(again).await, Err(StoreError::Broken(_))));
    assert_eq!(list(&*store, &tenant("other")).await, []);
    assert_eq!(fixture.audit(&tenant("other")).await, []);
}

/// A refusal is on record, for a token that exists or not, and for a caller without a tenant.
pub async fn a_refusal_is_recorded(fixture: Arc<dyn Fixture>) {
    let (store, acme) = (fixture.store(), tenant("acme"));
    let mut entry = AuditEntry {
        act: act(&acme, 3),
        action: Action::Delete,
        token_id: Some(i64::MAX),
        outcome: Outcome::Refused("token_not_found"),
    };
    store.record_refusal(&entry).await.expect("an answer");
    let recorded = fixture.audit(&acme).await;
    assert_eq!(recorded.len(), 1);
    assert_eq!((recorded[0].at, recorded[0].token_id), (at(3), Some(i64::MAX)));
    assert_eq!((recorded[0].action.as_str(), recorded[0].outcome.as_str()), ("delete", "token_not_found"));
    entry.act.tenant = None;
    entry.action = Action::List;
    store.record_refusal(&entry).await.expect("an answer");
    assert_eq!(fixture.audit(&acme).await.len(), 1);
}
