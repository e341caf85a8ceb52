//! The one `authorization` header of a call.

use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::ApiError;

/// The token of `authorization: Bearer <token>` (RFC 6750). The scheme's case does not matter.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(ApiError::new(ErrorReason::CredentialsMissing));
    };
    let refused = |why| ApiError::new(ErrorReason::CredentialsInvalid).because(why);
    if values.next().is_some() {
        return Err(refused("there is more than one authorization header"));
    }
    let value = value.to_str().map_err(|_| refused("the authorization header is not ASCII"))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("the authorization scheme is not Bearer"));
    }
    let token = token.trim_matches(' ');
    if token.is_empty() { Err(refused("the bearer token is empty")) } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn takes_one_bearer_token() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(token(&headers(&[value])).expect(value), "abc");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let reason = |values: &[&'static str]| token(&headers(values)).expect_err("refused").reason();
        assert_eq!(reason(&[]), ErrorReason::CredentialsMissing);
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearerabc", "Bearer\tabc"] {
            assert_eq!(reason(&[bad]), ErrorReason::CredentialsInvalid, "{bad:?}");
        }
        assert_eq!(reason(&["Bearer abc", "Bearer abc"]), ErrorReason::CredentialsInvalid);
    }
}
