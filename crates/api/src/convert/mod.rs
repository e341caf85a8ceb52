//! Where the wire becomes the domain and back: free functions, one a message.
//!
//! What comes out of here is valid; what is wrong with a request is said all at once.

pub(crate) mod ext_authz;
pub(crate) mod forward_auth;
pub(crate) mod json;

use std::time::Duration;

use gatekey_core::{
    CreateToken, Created, DeleteToken, DeletionReceipt, ListCursor, ListTokens, PAGE_MAX, Page, Verification,
    VerifyTarget, VerifyToken,
};
use gatekey_lease::{Down, Epoch, Hello, HolderId, Nonce, Position, Seq, Up};
use gatekey_model::{
    PresentedToken, RequestId, Rule, TenantId, Timestamp, Token, TokenDigest, TokenId, TokenName, TokenType,
    Validity, Verdict, Violations,
};
use gatekey_proto::v1;
use zeroize::Zeroizing;

use crate::page_token;

pub(crate) fn create_request(message: v1::CreateTokenRequest) -> Result<CreateToken, Violations> {
    let v1::CreateTokenRequest { name, r#type, years_valid, request_id } = message;
    let mut wrong = Vec::new();
    let name = Violations::collect(&mut wrong, TokenName::parse(&name));
    let kind = Violations::collect(&mut wrong, given_type("type", r#type));
    let validity = Violations::collect(&mut wrong, validity(years_valid));
    let request_id = Violations::collect(&mut wrong, optional_request_id(&request_id));
    match (name, kind, validity, request_id) {
        (Some(name), Some(kind), Some(validity), Some(request_id)) => {
            Ok(CreateToken { name, kind, validity, request_id })
        }
        _ => Err(Violations::from_collected(wrong).expect("what is missing was collected")),
    }
}

/// The tenant is the caller's; one without a tenant is refused before the answer is used.
pub(crate) fn list_request(
    message: &v1::ListTokensRequest,
    tenant: Option<&TenantId>,
) -> Result<ListTokens, Violations> {
    let mut wrong = Vec::new();
    let page_size = Violations::collect(&mut wrong, page_size(message.page_size));
    let after = Violations::collect(&mut wrong, page_start(&message.page_token, tenant));
    match (page_size, after) {
        (Some(page_size), Some(after)) => Ok(ListTokens { page_size, after }),
        _ => Err(Violations::from_collected(wrong).expect("what is missing was collected")),
    }
}

fn page_start(page_token: &str, tenant: Option<&TenantId>) -> Result<Option<ListCursor>, Violations> {
    match tenant {
        Some(tenant) if !page_token.is_empty() => page_token::decode(page_token, tenant).map(Some),
        _ => Ok(None),
    }
}

pub(crate) fn delete_request(message: v1::DeleteTokenRequest) -> Result<DeleteToken, Violations> {
    Ok(DeleteToken { id: TokenId::parse(message.id)? })
}

pub(crate) fn verify_request(message: v1::VerifyTokenRequest) -> Result<VerifyToken, Violations> {
    let v1::VerifyTokenRequest { credential, required_type, position } = message;
    let mut wrong = Vec::new();
    let target = Violations::collect(&mut wrong, verify_target(credential));
    let required = Violations::collect(&mut wrong, required_type_or_any(required_type));
    let holder = Violations::collect(&mut wrong, position.map(self::position).transpose());
    match (target, required, holder) {
        (Some(target), Some(required), Some(holder)) => Ok(VerifyToken { target, required, holder }),
        _ => Err(Violations::from_collected(wrong).expect("what is missing was collected")),
    }
}

fn verify_target(
    credential: Option<v1::verify_token_request::Credential>,
) -> Result<VerifyTarget, Violations> {
    use v1::verify_token_request::Credential;
    match credential {
        None => Err(Violations::of("credential", Rule::TokenRequired)),
        Some(Credential::TokenValue(value)) => {
            let value = Zeroizing::new(value);
            let presented = PresentedToken::parse(&value);
            Ok(presented.map_or(VerifyTarget::Malformed, |token| VerifyTarget::Digest(token.digest())))
        }
        Some(Credential::TokenSha256(digest)) => <[u8; 32]>::try_from(digest)
            .map(|digest| VerifyTarget::Digest(TokenDigest::from_bytes(digest)))
            .map_err(|_| Violations::of("token_sha256", Rule::TokenSha256Invalid)),
    }
}

fn given_type(field: &'static str, number: i32) -> Result<TokenType, Violations> {
    match v1::TokenType::try_from(number) {
        Ok(v1::TokenType::Batch) => Ok(TokenType::Batch),
        Ok(v1::TokenType::Realtime) => Ok(TokenType::Realtime),
        Ok(v1::TokenType::Unspecified) | Err(_) => Err(Violations::of(field, Rule::TypeInvalid)),
    }
}

fn required_type_or_any(number: i32) -> Result<Option<TokenType>, Violations> {
    if number == v1::TokenType::Unspecified as i32 {
        return Ok(None);
    }
    given_type("required_type", number).map(Some)
}

fn validity(years: i32) -> Result<Validity, Violations> {
    Validity::from_years(years).ok_or_else(|| Violations::of("years_valid", Rule::YearsValidInvalid))
}

fn optional_request_id(text: &str) -> Result<Option<RequestId>, Violations> {
    if text.is_empty() { Ok(None) } else { RequestId::parse(text).map(Some) }
}

fn page_size(number: i32) -> Result<u32, Violations> {
    match u32::try_from(number) {
        Ok(0) => Ok(PAGE_MAX),
        Ok(size) => Ok(size.min(PAGE_MAX)),
        Err(_) => Err(Violations::of("page_size", Rule::PageSizeInvalid)),
    }
}

/// What a holder says. The first message of a stream is a Hello, and only the first.
pub(crate) fn watch_request(message: v1::WatchRequest, first: bool) -> Result<Up, Violations> {
    use v1::watch_request::Event;
    match message.event {
        Some(Event::Hello(hello)) if first => watch_hello(&hello).map(Up::Hello),
        Some(Event::Renew(v1::Renew { id, reset_id })) if !first => Ok(Up::Renew { id, reset: reset_id }),
        Some(Event::Ack(v1::Ack { position, reset_id })) if !first => {
            let position = position.ok_or_else(|| Violations::of("ack.position", Rule::PositionInvalid))?;
            Ok(Up::Ack { position: self::position(position)?, reset: reset_id })
        }
        Some(Event::Release(v1::Release {})) if !first => Ok(Up::Release),
        _ => Err(Violations::of("event", Rule::WatchEventInvalid)),
    }
}

fn watch_hello(message: &v1::Hello) -> Result<Hello, Violations> {
    let mut wrong = Vec::new();
    let holder = <[u8; 16]>::try_from(message.holder.as_slice())
        .map_err(|_| Violations::of("hello.holder", Rule::HolderInvalid));
    let holder = Violations::collect(&mut wrong, holder);
    let position = Violations::collect(&mut wrong, message.position.map(self::position).transpose());
    match (holder, position) {
        (Some(holder), Some(position)) => {
            let holder = HolderId(u128::from_be_bytes(holder));
            Ok(Hello { holder, number: message.stream, position, epoch: Epoch(message.epoch) })
        }
        _ => Err(Violations::from_collected(wrong).expect("what is missing was collected")),
    }
}

/// What a holder is told.
pub(crate) fn watch_response(message: Down) -> v1::WatchResponse {
    use v1::watch_response::Event;
    let event = match message {
        Down::Invalidate { position, digests } => Event::Invalidate(v1::Invalidate {
            position: Some(to_position(position)),
            token_sha256: digests.iter().map(|digest| digest.0.to_vec()).collect(),
        }),
        Down::Grant { id, ttl } => Event::Grant(v1::Grant { id, ttl: Some(duration(ttl)) }),
        Down::Reset { id, position, epoch } => {
            Event::Reset(v1::Reset { id, position: Some(to_position(position)), epoch: epoch.0 })
        }
        Down::Leave => Event::Leave(v1::Leave {}),
    };
    v1::WatchResponse { event: Some(event) }
}

fn position(message: v1::Position) -> Result<Position, Violations> {
    let seq = Seq::new(message.seq).ok_or_else(|| Violations::of("position", Rule::PositionInvalid))?;
    Ok(Position { seq, nonce: Nonce::from_bits(message.nonce) })
}

pub(crate) fn create_response(created: &Created) -> v1::CreateTokenResponse {
    v1::CreateTokenResponse {
        token: Some(token(&created.token)),
        token_value: created.value.expose().to_owned(),
    }
}

/// The tenant is the caller's own: a page exists only for a caller who has one.
pub(crate) fn list_response(page: &Page, tenant: Option<&TenantId>) -> v1::ListTokensResponse {
    let next = page.next.zip(tenant).map(|(cursor, tenant)| page_token::encode(cursor, tenant));
    v1::ListTokensResponse {
        tokens: page.tokens.iter().map(token).collect(),
        next_page_token: next.unwrap_or_default(),
    }
}

pub(crate) fn delete_response(receipt: &DeletionReceipt) -> v1::DeleteTokenResponse {
    v1::DeleteTokenResponse {
        receipt: Some(v1::DeletionReceipt {
            revision: Some(to_position(receipt.revision)),
            holders_confirmed: i32::try_from(receipt.holders_confirmed).unwrap_or(i32::MAX),
            leases_waited_out: i32::try_from(receipt.leases_waited_out).unwrap_or(i32::MAX),
            elapsed: Some(duration(receipt.elapsed)),
        }),
    }
}

pub(crate) fn verify_response(verification: &Verification) -> v1::VerifyTokenResponse {
    v1::VerifyTokenResponse {
        verdict: verdict(verification.verdict).into(),
        token: verification.token.as_deref().map(token_with_tenant),
        revision: verification.revision.map(to_position),
        cacheable: verification.cacheable,
    }
}

fn verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Malformed => v1::Verdict::Malformed,
        Verdict::Unknown => v1::Verdict::Unknown,
        Verdict::Revoked => v1::Verdict::Revoked,
        Verdict::Expired => v1::Verdict::Expired,
        Verdict::WrongType => v1::Verdict::WrongType,
        Verdict::Active => v1::Verdict::Active,
    }
}

fn token(token: &Token) -> v1::Token {
    v1::Token {
        id: token.id.get(),
        name: token.name.as_str().to_owned(),
        key: token.key.as_str().to_owned(),
        r#type: token_type(token.kind).into(),
        create_time: Some(timestamp(token.created)),
        expire_time: Some(timestamp(token.expires)),
        creator: token.creator.clone(),
        tenant: String::new(),
    }
}

fn token_with_tenant(stored: &Token) -> v1::Token {
    v1::Token { tenant: stored.tenant.as_str().to_owned(), ..token(stored) }
}

fn token_type(kind: TokenType) -> v1::TokenType {
    match kind {
        TokenType::Batch => v1::TokenType::Batch,
        TokenType::Realtime => v1::TokenType::Realtime,
    }
}

fn to_position(position: Position) -> v1::Position {
    v1::Position { seq: position.seq.get(), nonce: position.nonce.bits() }
}

fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: moment.unix_seconds(), nanos: moment.subsec_nanos() }
}

fn duration(duration: Duration) -> prost_types::Duration {
    // Only what took longer than 292 billion years does not fit.
    prost_types::Duration::try_from(duration).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatekey_model::Violation;
    use v1::verify_token_request::Credential;

    fn broken<T: std::fmt::Debug>(result: Result<T, Violations>) -> Vec<(&'static str, Rule)> {
        let violations = result.expect_err("invalid");
        violations.as_slice().iter().map(|Violation { field, rule }| (*field, *rule)).collect()
    }

    #[test]
    fn every_violation_of_a_create_is_said_at_once() {
        let request = v1::CreateTokenRequest {
            name: " ".to_owned(),
            r#type: 7,
            years_valid: 3,
            request_id: "x".to_owned(),
        };
        assert_eq!(
            broken(create_request(request)),
            [
                ("name", Rule::NameRequired),
                ("type", Rule::TypeInvalid),
                ("years_valid", Rule::YearsValidInvalid),
                ("request_id", Rule::RequestIdInvalid),
            ]
        );
    }

    #[test]
    fn page_sizes_are_lowered_and_negative_ones_refused() {
        for (given, taken) in [(0, 1_000), (1, 1), (1_000, 1_000), (1_000_000, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(page_size(given), Ok(taken));
        }
        let request = v1::ListTokensRequest { page_size: -1, page_token: "edited".to_owned() };
        let tenant = TenantId::parse("acme").expect("valid");
        assert_eq!(
            broken(list_request(&request, Some(&tenant))),
            [("page_size", Rule::PageSizeInvalid), ("page_token", Rule::PageTokenInvalid)]
        );
    }

    #[test]
    fn a_verification_needs_a_token_and_known_words() {
        assert_eq!(
            broken(verify_request(v1::VerifyTokenRequest {
                credential: None,
                required_type: 9,
                position: Some(v1::Position { seq: -1, nonce: 0 }),
            })),
            [
                ("credential", Rule::TokenRequired),
                ("required_type", Rule::TypeInvalid),
                ("position", Rule::PositionInvalid)
            ]
        );
        let short = v1::VerifyTokenRequest {
            credential: Some(Credential::TokenSha256(vec![0; 31])),
            ..Default::default()
        };
        assert_eq!(broken(verify_request(short)), [("token_sha256", Rule::TokenSha256Invalid)]);
        let malformed = v1::VerifyTokenRequest {
            credential: Some(Credential::TokenValue("no token".to_owned())),
            ..Default::default()
        };
        assert_eq!(verify_request(malformed).expect("valid").target, VerifyTarget::Malformed);
    }

    #[test]
    fn a_stream_of_a_holder_begins_with_a_hello_and_has_no_other() {
        use v1::watch_request::Event;
        let message = |event| v1::WatchRequest { event: Some(event) };
        let hello =
            |holder: usize| v1::Hello { holder: vec![7; holder], position: None, stream: 3, epoch: 4 };
        let holder = HolderId(u128::from_be_bytes([7; 16]));
        let expected = Hello { holder, number: 3, position: None, epoch: Epoch(4) };
        assert_eq!(watch_request(message(Event::Hello(hello(16))), true), Ok(Up::Hello(expected)));
        let renew = message(Event::Renew(v1::Renew { id: 4, reset_id: 5 }));
        assert_eq!(watch_request(renew.clone(), false), Ok(Up::Renew { id: 4, reset: 5 }));
        let event = [("event", Rule::WatchEventInvalid)];
        assert_eq!(broken(watch_request(renew, true)), event);
        assert_eq!(broken(watch_request(message(Event::Hello(hello(16))), false)), event);
        assert_eq!(broken(watch_request(v1::WatchRequest { event: None }, false)), event);
        let wrong = v1::Hello { position: Some(v1::Position { seq: -1, nonce: 0 }), ..hello(15) };
        assert_eq!(
            broken(watch_request(message(Event::Hello(wrong)), true)),
            [("hello.holder", Rule::HolderInvalid), ("position", Rule::PositionInvalid)]
        );
        let ack = message(Event::Ack(v1::Ack { position: None, reset_id: 0 }));
        assert_eq!(broken(watch_request(ack, false)), [("ack.position", Rule::PositionInvalid)]);
    }
}
