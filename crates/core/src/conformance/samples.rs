//! What the cases are made of: tokens, callers, moments. Leaves the checks to the cases.

use gatekey_lease::Nonce;
use gatekey_model::{
    RequestId, TenantId, Timestamp, Token, TokenName, TokenPrefix, TokenType, TokenValue, Validity,
};

use crate::{Act, CreateRequest, Insertion, NewToken, Revocation, Store};

/// 2023-11-14T22:13:20.123456Z: a moment that needs all six digits of its microseconds.
const EPOCH: i64 = 1_700_000_000_123_456;

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant")
}

/// A moment, so many seconds after the first.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(EPOCH + seconds * 1_000_000).expect("a moment")
}

pub(super) fn act(tenant: &TenantId, seconds: i64) -> Act {
    Act {
        issuer: "https://issuer.example".to_owned(),
        subject: "ada".to_owned(),
        tenant: Some(tenant.clone()),
        at: at(seconds),
        call_id: format!("call-{seconds}"),
    }
}

/// A token with a fresh value, a thousand allowed, and no request id.
pub(super) fn new_token(tenant: &TenantId, seconds: i64) -> NewToken {
    let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
    NewToken {
        name: TokenName::parse("Production").expect("a name"),
        key: value.key(),
        kind: TokenType::Batch,
        tenant: tenant.clone(),
        digest: value.digest(),
        expires: Validity::OneYear.expiry(at(seconds)),
        act: act(tenant, seconds),
        limit: 1_000,
        request: None,
    }
}

/// The same, for an intention with a name: this id and this payload, remembered for a day.
pub(super) fn requested(tenant: &TenantId, seconds: i64, id: RequestId, payload: u8) -> NewToken {
    const DAY: i64 = 24 * 60 * 60;
    let request = CreateRequest { id, payload: [payload; 32], since: at(seconds - DAY), nonce: nonce() };
    NewToken { request: Some(request), ..new_token(tenant, seconds) }
}

pub(super) fn request_id(number: u8) -> RequestId {
    RequestId::parse(&format!("67e55044-10b1-426f-9247-bb680e5fe0{number:02x}")).expect("a UUID")
}

pub(super) fn nonce() -> Nonce {
    Nonce::from_bits(getrandom::u64().expect("random numbers"))
}

/// Creates a token that there is room for and that replaces none.
pub(super) async fn create(store: &dyn Store, new: NewToken) -> Token {
    match store.insert_token(new).await.expect("an answer") {
        Insertion::Created { token, replaced: None } => token,
        other => panic!("not simply created: {other:?}"),
    }
}

/// Creates a token that replaces one.
pub(super) async fn replace(store: &dyn Store, new: NewToken) -> (Token, Revocation) {
    match store.insert_token(new).await.expect("an answer") {
        Insertion::Created { token, replaced: Some(replaced) } => (token, replaced),
        other => panic!("nothing replaced: {other:?}"),
    }
}

/// Revokes a token that exists.
pub(super) async fn revoke(store: &dyn Store, token: &Token, seconds: i64) -> Revocation {
    let act = act(&token.tenant, seconds);
    let revoked = store.revoke_token(&token.tenant, token.id, nonce(), &act).await.expect("an answer");
    revoked.expect("the token exists")
}

/// All that a tenant's list shows.
pub(super) async fn list(store: &dyn Store, tenant: &TenantId) -> Vec<Token> {
    store.list_tokens(tenant, None, 10_000).await.expect("an answer")
}
