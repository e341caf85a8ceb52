//! `Debug` by hand for the messages that carry a token value, so that no log can show one.

use std::fmt;

use crate::v1::{CreateTokenResponse, VerifyTokenRequest, verify_token_request::Credential};

impl fmt::Debug for CreateTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateTokenResponse").field("token", &self.token).finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifyTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyTokenRequest")
            .field("credential", &self.credential)
            .field("required_type", &self.required_type())
            .field("position", &self.position)
            .finish()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::TokenValue(_) => "TokenValue([redacted])",
            Credential::TokenSha256(_) => "TokenSha256(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_token_value() {
        let secret = "gk_b_this-is-the-secret";
        let response = CreateTokenResponse { token: None, token_value: secret.to_owned() };
        let request = VerifyTokenRequest {
            credential: Some(Credential::TokenValue(secret.to_owned())),
            ..VerifyTokenRequest::default()
        };
        assert!(!format!("{response:?} {request:?}").contains("secret"));
    }
}
