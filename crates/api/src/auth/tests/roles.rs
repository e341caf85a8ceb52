//! What a caller may do, as the issuer's claims and Gatekey's own settings have it.

use gatekey_core::{Role, Roles};
use gatekey_model::TenantId;
use serde_json::{Value, json};

use super::fixture::{Fixture, ISSUER, KEY_ID, claims, inline, jwt, settings, with};
use super::signing_key::SigningKey;
use crate::auth::IssuerSettings;

fn roles(roles: &[Role]) -> Roles {
    roles.iter().copied().collect()
}

#[tokio::test]
async fn roles_come_in_two_forms() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let both = roles(&[Role::Developer, Role::Admin]);
    for (claim, expected) in [
        (Some(json!(["developer", "admin"])), both),
        (Some(json!([{"value": "developer"}, {"value": "admin"}])), both),
        (Some(json!(["owner", "DEVELOPER", {"value": 1}, 7, null])), Roles::default()),
        (Some(json!([])), Roles::default()),
        (Some(json!("developer")), Roles::default()),
        (None, Roles::default()),
    ] {
        let caller = fixture.accepted(&jwt(&key, &with(claims(), "roles", claim))).await;
        assert_eq!(caller.roles, expected);
    }
}

#[tokio::test]
async fn a_caller_may_be_without_a_tenant() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for (claim, expected) in [
        (Some(json!({"tenant": "globex"})), Some("globex")),
        (Some(json!({"tenant": 42})), Some("42")),
        (Some(json!({"tenant": ""})), None),
        (Some(json!({"tenant": "a\nb"})), None),
        (Some(json!({"tenant": ["acme"]})), None),
        (Some(json!("acme")), None),
        (None, None),
    ] {
        let caller = fixture.accepted(&jwt(&key, &with(claims(), "org", claim))).await;
        assert_eq!(caller.tenant.as_ref().map(TenantId::as_str), expected);
    }
}

#[tokio::test]
async fn a_role_claim_makes_no_verifier_unless_it_may() {
    let key = SigningKey::ed25519();
    let token = jwt(&key, &with(claims(), "roles", json!(["verifier", {"value": "verifier"}, "admin"])));
    for (verifier_by_claim, expected) in
        [(false, roles(&[Role::Admin])), (true, roles(&[Role::Admin, Role::Verifier]))]
    {
        let issuer = IssuerSettings { verifier_by_claim, ..settings(inline(&[key.jwk(KEY_ID)])) };
        let caller = Fixture::of(vec![issuer]).await.accepted(&token).await;
        assert_eq!(caller.roles, expected);
    }
}

#[tokio::test]
async fn a_named_subject_is_a_verifier_of_its_own_issuer_only() {
    let (people, cluster) = (SigningKey::ed25519(), SigningKey::ed25519());
    let (name, subject) = ("https://kubernetes.example", "system:serviceaccount:edge:gateway");
    let verifiers = IssuerSettings {
        issuer: name.to_owned(),
        verifier_subjects: vec![subject.to_owned()],
        ..settings(inline(&[cluster.jwk(KEY_ID)]))
    };
    let fixture = Fixture::of(vec![settings(inline(&[people.jwk(KEY_ID)])), verifiers]).await;
    let token = |key: &SigningKey, issuer: &str, subject: &str| -> String {
        let of: Value = with(with(claims(), "iss", json!(issuer)), "sub", json!(subject));
        jwt(key, &with(of, "roles", None))
    };
    let verifier = fixture.accepted(&token(&cluster, name, subject)).await;
    assert_eq!(verifier.roles, roles(&[Role::Verifier]));
    for (key, issuer, subject) in [
        (&people, ISSUER, subject),
        (&cluster, name, "system:serviceaccount:edge:gateway2"),
        (&cluster, name, "system:serviceaccount:edge"),
        (&cluster, name, "System:serviceaccount:edge:gateway"),
        (&cluster, name, " system:serviceaccount:edge:gateway"),
    ] {
        assert_eq!(fixture.accepted(&token(key, issuer, subject)).await.roles, Roles::default(), "{subject}");
    }
}
