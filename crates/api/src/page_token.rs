//! Page tokens: opaque to clients, and good only for the tenant that they were given to.
//!
//! `base64url(time of creation ‖ id ‖ tag)`, where the tag is half a SHA-256 over the tenant and the
//! rest. It needs no key: forging one gives nothing, as a list shows the caller's own tenant anyway.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatekey_core::ListCursor;
use gatekey_model::{Rule, TenantId, Timestamp, TokenId, Violations};
use sha2::{Digest, Sha256};

const BODY_LEN: usize = 16;
const TAG_LEN: usize = 16;

/// The page token that continues after this cursor.
pub(crate) fn encode(cursor: ListCursor, tenant: &TenantId) -> String {
    let mut bytes = Vec::with_capacity(BODY_LEN + TAG_LEN);
    bytes.extend(cursor.created.unix_micros().to_be_bytes());
    bytes.extend(cursor.id.get().to_be_bytes());
    let tag = tag(&bytes, tenant);
    bytes.extend(tag);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor in a page token.
pub(crate) fn decode(token: &str, tenant: &TenantId) -> Result<ListCursor, Violations> {
    try_decode(token, tenant).ok_or_else(|| Violations::of("page_token", Rule::PageTokenInvalid))
}

fn try_decode(token: &str, tenant: &TenantId) -> Option<ListCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (body, given) = bytes.split_at_checked(BODY_LEN)?;
    if given != tag(body, tenant) {
        return None;
    }
    let (created, id) = body.split_at(BODY_LEN / 2);
    Some(ListCursor {
        created: Timestamp::from_unix_micros(i64::from_be_bytes(created.try_into().ok()?))?,
        id: TokenId::parse(i64::from_be_bytes(id.try_into().ok()?)).ok()?,
    })
}

fn tag(body: &[u8], tenant: &TenantId) -> [u8; TAG_LEN] {
    let mut hash = Sha256::new();
    hash.update(b"gatekey page token 1\0");
    hash.update(body);
    hash.update(tenant.as_str().as_bytes());
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&hash.finalize()[..TAG_LEN]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("valid")
    }

    proptest! {
        #[test]
        fn comes_back_for_its_tenant_only(micros in 0_i64..253_402_300_799_999_999, id in 1_i64..) {
            let cursor = ListCursor {
                created: Timestamp::from_unix_micros(micros).expect("in range"),
                id: TokenId::parse(id).expect("positive"),
            };
            let token = encode(cursor, &tenant("acme"));
            prop_assert_eq!(decode(&token, &tenant("acme")), Ok(cursor));
            prop_assert!(decode(&token, &tenant("other")).is_err());
            for at in 0..token.len() {
                let mut edited = token.clone().into_bytes();
                edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
                let edited = String::from_utf8(edited).expect("ASCII");
                prop_assert!(decode(&edited, &tenant("acme")).is_err());
            }
        }

        #[test]
        fn arbitrary_text_is_refused(text in any::<String>()) {
            prop_assert!(decode(&text, &tenant("acme")).is_err());
        }
    }
}
