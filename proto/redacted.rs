//! `Debug` by hand for the messages that carry a token value, so that no log can show one.

use std::fmt;

use crate::envoy::config::core::v3::HeaderValue;
use crate::envoy::service::auth::v3::attribute_context::HttpRequest;
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

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderValue").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Nothing of what a client chose: a token value may stand in a path, too.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::config::core::v3::HeaderMap;

    #[test]
    fn debug_shows_no_token_value() {
        let secret = "gk_b_this-is-the-secret";
        let response = CreateTokenResponse { token: None, token_value: secret.to_owned() };
        let request = VerifyTokenRequest {
            credential: Some(Credential::TokenValue(secret.to_owned())),
            ..VerifyTokenRequest::default()
        };
        let header = HeaderValue {
            key: "authorization".to_owned(),
            value: secret.to_owned(),
            raw_value: secret.into(),
        };
        let http = HttpRequest {
            path: format!("/?token={secret}"),
            headers: [("authorization".to_owned(), secret.to_owned())].into(),
            header_map: Some(HeaderMap { headers: vec![header.clone()] }),
            ..HttpRequest::default()
        };
        assert!(!format!("{header:?} {http:?} {:?}", http.header_map).contains("secret"));
        assert!(!format!("{response:?} {request:?}").contains("secret"));
    }
}
