//! Who called, in the words of both services' answers.

use gatekey_interceptor::VerifiedToken;

use crate::v1::Caller;

impl From<&VerifiedToken> for Caller {
    fn from(token: &VerifiedToken) -> Self {
        Self {
            token_id: token.id(),
            name: token.name().to_owned(),
            key: token.key().to_owned(),
            token_type: token.token_type().to_string(),
            tenant: token.tenant().to_owned(),
            from_cache: token.is_from_cache(),
        }
    }
}
