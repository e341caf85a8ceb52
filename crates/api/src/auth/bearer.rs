//! The one `authorization` header of a call.

use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

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

/// The JWT in a header that what stands in front sets, with or without `Bearer`. Nothing if there is no such header.
pub(crate) fn forwarded<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refused = |why| ApiError::new(ErrorReason::CredentialsInvalid).because(why);
    if values.next().is_some() {
        return Err(refused("there is more than one header with the JWT"));
    }
    let value =
        value.to_str().map_err(|_| refused("the header with the JWT is not ASCII"))?.trim_matches(' ');
    let (scheme, jwt) = value.split_once(' ').unwrap_or(("bearer", value));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("the header with the JWT has another scheme than Bearer"));
    }
    let jwt = if jwt.eq_ignore_ascii_case("bearer") { "" } else { jwt.trim_matches(' ') };
    if jwt.is_empty() { Err(refused("the header with the JWT is empty")) } else { Ok(Some(jwt)) }
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

    #[test]
    fn takes_the_jwt_of_whoever_stands_in_front() {
        let name = HeaderName::from_static("x-forwarded-access-token");
        let read = |values: &[&'static str]| {
            let headers: HeaderMap =
                values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect();
            forwarded(&headers, &name).map(|jwt| jwt.map(str::to_owned)).map_err(|error| error.reason())
        };
        assert_eq!(read(&[]), Ok(None));
        for value in ["abc", "Bearer abc", " bearer  abc "] {
            assert_eq!(read(&[value]), Ok(Some("abc".to_owned())), "{value:?}");
        }
        for bad in [&[""][..], &["Bearer "], &["Basic abc"], &["abc", "abc"]] {
            assert_eq!(read(bad), Err(ErrorReason::CredentialsInvalid), "{bad:?}");
        }
    }
}
