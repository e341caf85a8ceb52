//! The table of refusals: every way in which a protected service or a gateway turns a request away, and how gRPC and HTTP
//! say it. Nothing else chooses a status there.

use std::fmt;
use std::sync::LazyLock;

use bytes::Bytes;
use gatekey_model::TokenType;
use gatekey_proto::v1::ErrorReason;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Why a request was turned away.
///
/// "Not good" and "cannot tell" are never mixed: only [`Refusal::Unverifiable`] and [`Refusal::Overloaded`] say that
/// nobody can tell, and they are UNAVAILABLE over gRPC and 503 over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no `authorization`, or it has another scheme than `Bearer`.
    Missing,
    /// There are two `authorization` values, or one that is not ASCII or empty.
    Unreadable,
    /// The token is malformed, unknown, revoked or expired. Which of these is not told.
    Invalid,
    /// The token is good, and of the other type than the one that is required here.
    WrongType(TokenType),
    /// Nobody can tell: there is no lease, and no server of Gatekey's answers.
    Unverifiable,
    /// Too many tokens had to be verified at once.
    Overloaded,
    /// No rule says who may call this route.
    NoRule,
}

/// One line of the table.
struct Line {
    refusal: Refusal,
    reason: ErrorReason,
    code: Code,
    http: StatusCode,
    /// The error code of RFC 6750, section 3.1.
    error: Option<&'static str>,
    message: &'static str,
}

#[rustfmt::skip]
const TABLE: [Line; 8] = [
    line(Refusal::Missing, ErrorReason::ApiTokenMissing, Code::Unauthenticated, StatusCode::UNAUTHORIZED, None, "no API token: send `authorization: Bearer <token>`"),
    line(Refusal::Unreadable, ErrorReason::ApiTokenUnreadable, Code::Unauthenticated, StatusCode::UNAUTHORIZED, Some("invalid_request"), "there must be one authorization value, in ASCII: `Bearer <token>`"),
    line(Refusal::Invalid, ErrorReason::ApiTokenInvalid, Code::Unauthenticated, StatusCode::UNAUTHORIZED, Some("invalid_token"), "the API token is not valid"),
    line(Refusal::WrongType(TokenType::Batch), ErrorReason::ApiTokenWrongType, Code::PermissionDenied, StatusCode::FORBIDDEN, Some("insufficient_scope"), "a batch token is required here"),
    line(Refusal::WrongType(TokenType::Realtime), ErrorReason::ApiTokenWrongType, Code::PermissionDenied, StatusCode::FORBIDDEN, Some("insufficient_scope"), "a realtime token is required here"),
    line(Refusal::Unverifiable, ErrorReason::ApiTokenUnverifiable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, None, "API tokens can't be verified now; try again"),
    line(Refusal::Overloaded, ErrorReason::TooManyVerifications, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, None, "too many API tokens have to be verified now; try again"),
    line(Refusal::NoRule, ErrorReason::NoAccessRule, Code::PermissionDenied, StatusCode::FORBIDDEN, None, "no rule says who may call this route"),
];

const fn line(
    refusal: Refusal,
    reason: ErrorReason,
    code: Code,
    http: StatusCode,
    error: Option<&'static str>,
    message: &'static str,
) -> Line {
    Line { refusal, reason, code, http, error, message }
}

/// What stands ready for each line: a flood of refusals formats nothing.
struct Ready {
    status: Status,
    body: Bytes,
    challenge: Option<HeaderValue>,
}

static READY: LazyLock<[Ready; TABLE.len()]> = LazyLock::new(|| TABLE.each_ref().map(Ready::of));

/// When to come back, in seconds.
const RETRY: HeaderValue = HeaderValue::from_static("1");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 8] = {
        let mut all = [Self::Missing; 8];
        let mut number = 0;
        while number < all.len() {
            all[number] = TABLE[number].refusal;
            number += 1;
        }
        all
    };

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn number(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Unreadable => 1,
            Self::Invalid => 2,
            Self::WrongType(TokenType::Batch) => 3,
            Self::WrongType(TokenType::Realtime) => 4,
            Self::Unverifiable => 5,
            Self::Overloaded => 6,
            Self::NoRule => 7,
        }
    }

    const fn line(self) -> &'static Line {
        &TABLE[self.number()]
    }

    fn ready(self) -> &'static Ready {
        &READY[self.number()]
    }

    /// The gRPC code.
    #[must_use]
    pub fn code(self) -> Code {
        self.line().code
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(self) -> StatusCode {
        self.line().http
    }

    /// The text for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        self.line().message
    }

    /// The reason as it is called on the wire, in `google.rpc.ErrorInfo` and in an error's detail over HTTP.
    #[must_use]
    pub fn reason(self) -> &'static str {
        let name = self.line().reason.as_str_name();
        name.strip_prefix("ERROR_REASON_").unwrap_or(name)
    }

    /// The answer over gRPC, with a `google.rpc.ErrorInfo` of the domain `gatekey`.
    #[must_use]
    pub fn to_status(self) -> Status {
        self.ready().status.clone()
    }

    /// The answer over HTTP: `WWW-Authenticate` after RFC 6750 where that helps, `Retry-After` where nobody can tell, and
    /// a body in JSON, given as bytes in whatever body the caller makes of them.
    pub fn to_http<B: From<Bytes>>(self) -> Response<B> {
        let ready = self.ready();
        let mut response = Response::new(B::from(ready.body.clone()));
        *response.status_mut() = self.http_status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(challenge) = &ready.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        if self.http_status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY);
        }
        response
    }

    /// The answer over gRPC as an HTTP response with an empty body: "trailers only".
    pub fn to_grpc<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(Bytes::new()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/grpc") });
        let added = self.ready().status.add_header(headers);
        debug_assert!(added.is_ok(), "the texts of the table can stand in a header");
        response
    }
}

impl Ready {
    fn of(line: &Line) -> Self {
        let Line { refusal, error, message, .. } = line;
        let details = ErrorDetails::with_error_info(refusal.reason(), "gatekey", []);
        let detail = json!({ "loc": ["header", "authorization"], "msg": message, "type": refusal.reason() });
        let mut body = json!({ "message": message, "detail": [detail] });
        if let Some(error) = error {
            body["error"] = (*error).into();
            body["error_description"] = (*message).into();
        }
        Self {
            status: Status::with_error_details(line.code, *message, details),
            body: body.to_string().into(),
            challenge: challenge(line),
        }
    }
}

/// RFC 6750, section 3: without a code where no token came.
fn challenge(line: &Line) -> Option<HeaderValue> {
    let text = match (line.refusal, line.error) {
        (Refusal::Missing, _) => "Bearer".to_owned(),
        (_, None) => return None,
        (Refusal::WrongType(kind), Some(error)) => {
            format!("Bearer error=\"{error}\", error_description=\"{}\", scope=\"{kind}\"", line.message)
        }
        (_, Some(error)) => format!("Bearer error=\"{error}\", error_description=\"{}\"", line.message),
    };
    let challenge = HeaderValue::try_from(text);
    debug_assert!(challenge.is_ok(), "the texts of the table can stand in a header");
    challenge.ok()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.to_status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_line() {
        for (number, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.number(), number);
            assert_eq!(refusal.line().refusal, refusal);
        }
    }

    #[test]
    fn not_good_and_cannot_tell_are_never_mixed() {
        for refusal in Refusal::ALL {
            let (code, http) = (refusal.code(), refusal.http_status());
            assert_eq!(code == Code::Unauthenticated, http == StatusCode::UNAUTHORIZED, "{refusal:?}");
            assert_eq!(code == Code::Unavailable, http == StatusCode::SERVICE_UNAVAILABLE, "{refusal:?}");
            assert_eq!(code == Code::PermissionDenied, http == StatusCode::FORBIDDEN, "{refusal:?}");
        }
    }

    #[test]
    fn http_is_told_after_rfc_6750() {
        let header = |refusal: Refusal, name| {
            let response = refusal.to_http::<Bytes>();
            response.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(header(Refusal::Missing, WWW_AUTHENTICATE).as_deref(), Some("Bearer"));
        let challenge = header(Refusal::Invalid, WWW_AUTHENTICATE).expect("a challenge");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\", "), "{challenge}");
        let challenge =
            header(Refusal::WrongType(TokenType::Realtime), WWW_AUTHENTICATE).expect("a challenge");
        assert!(challenge.contains("\"insufficient_scope\"") && challenge.ends_with(", scope=\"realtime\""));
        for refusal in [Refusal::Unverifiable, Refusal::Overloaded] {
            assert_eq!(header(refusal, WWW_AUTHENTICATE), None);
            assert_eq!(header(refusal, RETRY_AFTER).as_deref(), Some("1"));
        }
        assert_eq!(header(Refusal::NoRule, WWW_AUTHENTICATE), None);
        for refusal in Refusal::ALL {
            let body: serde_json::Value =
                serde_json::from_slice(refusal.to_http::<Bytes>().body()).expect("JSON");
            assert_eq!(body["message"], refusal.message());
            assert_eq!(body["detail"][0]["type"], refusal.reason());
            assert_eq!(body.get("error").is_some(), refusal.line().error.is_some(), "{refusal:?}");
        }
    }

    #[test]
    fn grpc_is_told_with_the_reason() {
        for refusal in Refusal::ALL {
            let response = refusal.to_grpc::<Bytes>();
            assert_eq!(response.status(), StatusCode::OK);
            let status = Status::from_header_map(response.headers()).expect("a status");
            assert_eq!((status.code(), status.message()), (refusal.code(), refusal.message()));
            let info = status.get_error_details().error_info().cloned().expect("ErrorInfo");
            assert_eq!((info.domain.as_str(), info.reason.as_str()), ("gatekey", refusal.reason()));
        }
    }

    /// `ResourceExhausted` as `RESOURCE_EXHAUSTED`.
    fn shouted(code: Code) -> &'static str {
        match code {
            Code::Unauthenticated => "UNAUTHENTICATED",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::Unavailable => "UNAVAILABLE",
            other => panic!("{other:?} is no refusal's"),
        }
    }

    /// The contract's file and the docs exist in the repository only, not in the package.
    #[test]
    fn the_contract_and_the_docs_say_what_the_table_says() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let proto = std::fs::read_to_string(format!("{root}/proto/gatekey/v1/error_reason.proto"));
        let docs = std::fs::read_to_string(format!("{root}/docs/errors.md")).expect("docs/errors.md");
        let proto = proto.expect("error_reason.proto");
        for line in &TABLE {
            let (before, _) =
                proto.split_once(&format!("{} =", line.reason.as_str_name())).expect("it is there");
            let comment = before.rsplit(';').next().expect("rsplit gives at least one");
            let (code, http) = (shouted(line.code), line.http.as_u16());
            assert!(comment.contains(&format!("{code}, HTTP {http}.")), "{:?}: {comment}", line.refusal);
            let row = format!("| `{}` | {code} | {http} | {} |", line.refusal.reason(), line.message);
            assert!(docs.contains(&row), "docs/errors.md lacks: {row}");
        }
        let reasons: std::collections::BTreeSet<i32> = TABLE.iter().map(|line| line.reason.into()).collect();
        let all: Vec<i32> = (200..300).filter(|number| ErrorReason::try_from(*number).is_ok()).collect();
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), all);
    }
}
