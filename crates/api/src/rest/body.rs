//! Reads a JSON object from a request, within limits.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::ApiError;

/// The longest body that is taken. The longest valid one has a name of 255 characters.
const MAX_BYTES: usize = 16 * 1024;
/// A body must have come within this time.
const WITHIN: Duration = Duration::from_secs(10);

/// Whether a JSON body comes, by its headers. No other type: a form of another site's page could send that.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let one = types.next().filter(|_| types.next().is_none());
    if one.is_some_and(is_json) { Ok(()) } else { Err(ApiError::new(ErrorReason::MediaTypeUnsupported)) }
}

/// `application/json`, and of its parameters only a charset that JSON has (RFC 8259 section 8.1).
fn is_json(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| {
        matches!(parameter.to_ascii_lowercase().as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
    })
}

/// The object that the body is.
pub(super) async fn object(body: Body) -> Result<Map<String, Value>, ApiError> {
    let unreadable = |why| ApiError::new(ErrorReason::RequestUnreadable).because(why);
    let too_large = || ApiError::new(ErrorReason::RequestTooLarge);
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    let read = timeout(WITHIN, to_bytes(body, MAX_BYTES)).await;
    let bytes = match read {
        Err(_) => return Err(unreadable("the body did not come within 10 seconds")),
        Ok(Err(cause)) if is_limit(&cause) => return Err(too_large()),
        Ok(Err(_)) => return Err(unreadable("the body broke off")),
        Ok(Ok(bytes)) => bytes,
    };
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(unreadable("the body must be a JSON object")),
        Err(_) => Err(unreadable("the body is not JSON in UTF-8")),
    }
}

/// Whether reading stopped because there was too much.
fn is_limit(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref::<http_body_util::LengthLimitError>()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[test]
    fn only_json_is_taken() {
        let check = |types: &[&'static str]| {
            let types = types.iter().map(|text| (header::CONTENT_TYPE, HeaderValue::from_static(text)));
            check_type(&types.collect()).is_ok()
        };
        for json in
            ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;"]
        {
            assert!(check(&[json]), "{json}");
        }
        for other in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json-patch+json",
            "application/json; charset=latin1",
            "text/plain; application/json",
        ] {
            assert!(!check(&[other]), "{other}");
        }
        assert!(!check(&[]) && !check(&["application/json", "text/plain"]));
    }

    #[tokio::test]
    async fn what_is_no_object_is_told_as_what_it_is() {
        let reason = |body: Body| async { object(body).await.expect_err("refused").reason() };
        for text in ["", "{", "[]", "7", "null", "{\"name\":\"a\"} x"] {
            assert_eq!(reason(Body::from(text)).await, ErrorReason::RequestUnreadable, "{text}");
        }
        assert_eq!(reason(Body::from(&b"{\"a\":\"\xff\"}"[..])).await, ErrorReason::RequestUnreadable);
        assert_eq!(reason(Body::from(vec![b' '; MAX_BYTES + 1])).await, ErrorReason::RequestTooLarge);
        let chunks = stream::iter((0..=MAX_BYTES).map(|_| Ok::<_, std::io::Error>(" ")));
        assert_eq!(reason(Body::from_stream(chunks)).await, ErrorReason::RequestTooLarge);
        let broken = stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]);
        assert_eq!(reason(Body::from_stream(broken)).await, ErrorReason::RequestUnreadable);
        assert!(object(Body::from("{\"name\": \"a\"}")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = stream::pending::<Result<&str, std::io::Error>>();
        let refused = object(Body::from_stream(never)).await.expect_err("refused");
        assert!(refused.message().contains("10 seconds"), "{}", refused.message());
    }
}
