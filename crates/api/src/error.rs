//! The error table: every way in which a call can be refused or fail, and how gRPC and HTTP say it.
//!
//! Nothing else in Gatekey chooses a status. Causes are logged here, once, and never sent.

use std::borrow::Cow;

use gatekey_core::{Error as CoreError, StoreError};
use gatekey_model::{Rule, Violations};
use gatekey_proto::v1::ErrorReason;
use http::StatusCode;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

/// The domain of Gatekey's reasons in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "gatekey";

/// One line of the table.
struct Line {
    reason: ErrorReason,
    code: Code,
    http: StatusCode,
    message: &'static str,
}

const fn line(reason: ErrorReason, code: Code, http: StatusCode, message: &'static str) -> Line {
    Line { reason, code, http, message }
}

#[rustfmt::skip]
const TABLE: [Line; 16] = [
    line(ErrorReason::InvalidRequest, Code::InvalidArgument, StatusCode::UNPROCESSABLE_ENTITY, "the request is invalid"),
    line(ErrorReason::CredentialsMissing, Code::Unauthenticated, StatusCode::UNAUTHORIZED, "no credentials: send `authorization: Bearer <JWT>`"),
    line(ErrorReason::CredentialsInvalid, Code::Unauthenticated, StatusCode::UNAUTHORIZED, "the credentials are not acceptable"),
    line(ErrorReason::RoleRequired, Code::PermissionDenied, StatusCode::FORBIDDEN, "none of the caller's roles allows this call"),
    line(ErrorReason::TenantRequired, Code::PermissionDenied, StatusCode::FORBIDDEN, "the caller belongs to no tenant"),
    line(ErrorReason::TokenNotFound, Code::NotFound, StatusCode::NOT_FOUND, "no token with this id"),
    line(ErrorReason::TokenLimitReached, Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, "the tenant has as many live tokens as it may; delete one first"),
    line(ErrorReason::RequestIdReused, Code::AlreadyExists, StatusCode::UNPROCESSABLE_ENTITY, "the request id was used within 24 hours with another payload"),
    line(ErrorReason::RequestIdSpent, Code::FailedPrecondition, StatusCode::CONFLICT, "the token of this request id was deleted since; use a new request id"),
    line(ErrorReason::StoreUnavailable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "the token store can't be reached; try again"),
    line(ErrorReason::StoreFull, Code::ResourceExhausted, StatusCode::INSUFFICIENT_STORAGE, "the token store has no room left; nothing was written"),
    line(ErrorReason::IssuerUnavailable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "the keys of the caller's issuer can't be fetched; try again"),
    line(ErrorReason::LoopbackOnly, Code::PermissionDenied, StatusCode::FORBIDDEN, "a server in development mode answers only local callers, by a loopback name and through no proxy"),
    line(ErrorReason::RevocationPending, Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, "the delete is committed, but not yet confirmed everywhere"),
    line(ErrorReason::NotOffered, Code::Unimplemented, StatusCode::NOT_IMPLEMENTED, "this server does not offer the call"),
    line(ErrorReason::Internal, Code::Internal, StatusCode::INTERNAL_SERVER_ERROR, "internal error; the server's log has the cause under the request id"),
];

/// What is said of a broken rule: its reason, and a text for people.
#[rustfmt::skip]
const fn rule_text(rule: Rule) -> (ErrorReason, &'static str) {
    match rule {
        Rule::NameRequired => (ErrorReason::TokenNameRequired, "Token name required"),
        Rule::NameTooLong => (ErrorReason::TokenNameTooLong, "Token name must have at most 255 characters"),
        Rule::NameControlCharacter => (ErrorReason::TokenNameControlCharacter, "Token name must not have control characters"),
        Rule::NameBidiControl => (ErrorReason::TokenNameBidiControl, "Token name must not have bidirectional controls (U+202A to U+202E, U+2066 to U+2069)"),
        Rule::TypeInvalid => (ErrorReason::TokenTypeInvalid, "Token type must be batch or realtime"),
        Rule::YearsValidInvalid => (ErrorReason::YearsValidInvalid, "Years of validity must be 1, 2 or 5"),
        Rule::RequestIdInvalid => (ErrorReason::RequestIdInvalid, "Request id must be a UUID"),
        Rule::TokenIdInvalid => (ErrorReason::TokenIdInvalid, "Token id must be a positive number"),
        Rule::PageSizeInvalid => (ErrorReason::PageSizeInvalid, "Page size must not be negative"),
        Rule::PageTokenInvalid => (ErrorReason::PageTokenInvalid, "Page token must be the next_page_token of an earlier page of the same tenant"),
        Rule::TokenRequired => (ErrorReason::TokenRequired, "Either token_value or token_sha256 is required"),
        Rule::TokenSha256Invalid => (ErrorReason::TokenSha256Invalid, "Digest must be 32 bytes (SHA-256)"),
        Rule::PositionInvalid => (ErrorReason::PositionInvalid, "Position must have a seq of 0 or more"),
    }
}

/// A refused or failed call, ready to be said to the caller.
#[derive(Clone, Debug)]
pub struct ApiError {
    reason: ErrorReason,
    /// Replaces the table's message where it can say more.
    message: Option<Cow<'static, str>>,
    violations: Vec<FieldError>,
    metadata: Vec<(&'static str, String)>,
}

/// A field of the request and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// The reason, as it is called on the wire.
    pub reason: &'static str,
    /// The rule, for people.
    pub message: &'static str,
}

impl ApiError {
    /// An error of this reason with the table's message.
    #[must_use]
    pub const fn new(reason: ErrorReason) -> Self {
        Self { reason, message: None, violations: Vec::new(), metadata: Vec::new() }
    }

    /// Adds what is particular to this case to the table's message.
    #[must_use]
    pub fn because(mut self, detail: &'static str) -> Self {
        self.message = Some(format!("{}: {detail}", self.line().message).into());
        self
    }

    /// The reason.
    #[must_use]
    pub const fn reason(&self) -> ErrorReason {
        self.reason
    }

    /// The reason as it is called on the wire.
    #[must_use]
    pub fn reason_name(&self) -> &'static str {
        wire_name(self.reason)
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        self.line().http
    }

    /// The text for people.
    #[must_use]
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or(self.line().message)
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.violations
    }

    fn line(&self) -> &'static Line {
        TABLE
            .iter()
            .find(|line| line.reason == self.reason)
            .expect("every reason of a call has a line; a test compares the table with the enum")
    }

    /// The error as gRPC says it, with `ErrorInfo` and, for invalid fields, `BadRequest`.
    #[must_use]
    pub fn into_status(self) -> Status {
        let line = self.line();
        let mut details = vec![any(
            "ErrorInfo",
            &pb::ErrorInfo {
                reason: self.reason_name().to_owned(),
                domain: DOMAIN.to_owned(),
                metadata: self
                    .metadata
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone()))
                    .collect(),
            },
        )];
        if !self.violations.is_empty() {
            let field_violations = self.violations.iter().map(field_violation).collect();
            details.push(any("BadRequest", &pb::BadRequest { field_violations }));
        }
        let message = self.message().to_owned();
        let status = pb::Status { code: line.code.into(), message: message.clone(), details };
        Status::with_details(line.code, message, status.encode_to_vec().into())
    }
}

fn field_violation(error: &FieldError) -> pb::bad_request::FieldViolation {
    pb::bad_request::FieldViolation {
        field: error.field.to_owned(),
        description: error.message.to_owned(),
        reason: error.reason.to_owned(),
        ..Default::default()
    }
}

fn any(message: &str, value: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/google.rpc.{message}"),
        value: value.encode_to_vec(),
    }
}

fn wire_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

impl From<Violations> for ApiError {
    fn from(violations: Violations) -> Self {
        let violations: Vec<FieldError> = violations
            .as_slice()
            .iter()
            .map(|violation| {
                let (reason, message) = rule_text(violation.rule);
                FieldError { field: violation.field, reason: wire_name(reason), message }
            })
            .collect();
        let message = violations.iter().map(|error| error.message).collect::<Vec<_>>().join("; ");
        Self { violations, message: Some(message.into()), ..Self::new(ErrorReason::InvalidRequest) }
    }
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::RoleRequired => Self::new(ErrorReason::RoleRequired),
            CoreError::TenantRequired => Self::new(ErrorReason::TenantRequired),
            CoreError::Invalid(violations) => violations.into(),
            CoreError::TokenNotFound => Self::new(ErrorReason::TokenNotFound),
            CoreError::TokenLimitReached { limit } => Self {
                metadata: vec![("limit", limit.to_string())],
                ..Self::new(ErrorReason::TokenLimitReached)
            },
            CoreError::RequestIdReused => Self::new(ErrorReason::RequestIdReused),
            CoreError::RequestIdSpent => Self::new(ErrorReason::RequestIdSpent),
            CoreError::Store(store) => store.into(),
            CoreError::Random(cause) => {
                tracing::error!(%cause, "the operating system gives no random numbers");
                Self::new(ErrorReason::Internal)
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(cause = %Chain(cause.as_ref()), "the store is unavailable");
                Self::new(ErrorReason::StoreUnavailable)
            }
            StoreError::Full(cause) => {
                tracing::error!(cause = %Chain(cause.as_ref()), "the store is full");
                Self::new(ErrorReason::StoreFull)
            }
            StoreError::Broken(cause) => {
                tracing::error!(cause = %Chain(cause.as_ref()), "the store is broken");
                Self::new(ErrorReason::Internal)
            }
        }
    }
}

/// An error with all of its sources, for a log line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    /// Every rule; `rule_text` does not compile without all of them.
    const RULES: [Rule; 13] = [
        Rule::NameRequired,
        Rule::NameTooLong,
        Rule::NameControlCharacter,
        Rule::NameBidiControl,
        Rule::TypeInvalid,
        Rule::YearsValidInvalid,
        Rule::RequestIdInvalid,
        Rule::TokenIdInvalid,
        Rule::PageSizeInvalid,
        Rule::PageTokenInvalid,
        Rule::TokenRequired,
        Rule::TokenSha256Invalid,
        Rule::PositionInvalid,
    ];

    /// `ResourceExhausted` as `RESOURCE_EXHAUSTED`.
    fn shouted(code: Code) -> String {
        format!("{code:?}").chars().enumerate().fold(String::new(), |mut text, (at, c)| {
            if at > 0 && c.is_uppercase() {
                text.push('_');
            }
            text.push(c.to_ascii_uppercase());
            text
        })
    }

    /// The reasons of whole calls, from the enum itself: 1 to 99.
    fn call_reasons() -> Vec<ErrorReason> {
        (1..100).filter_map(|number| ErrorReason::try_from(number).ok()).collect()
    }

    #[test]
    fn every_reason_has_one_line_in_the_order_of_the_enum() {
        let lines: Vec<ErrorReason> = TABLE.iter().map(|line| line.reason).collect();
        assert_eq!(lines, call_reasons());
    }

    #[test]
    fn invalid_and_cannot_tell_are_never_mixed() {
        for line in &TABLE {
            assert_eq!(
                line.code == Code::Unauthenticated,
                line.http == StatusCode::UNAUTHORIZED,
                "{:?}",
                line.reason
            );
            assert_eq!(
                line.code == Code::Unavailable,
                line.http == StatusCode::SERVICE_UNAVAILABLE,
                "{:?}",
                line.reason
            );
        }
    }

    #[test]
    fn the_proto_documents_what_the_table_says() {
        let proto = include_str!("../../../proto/gatekey/v1/error_reason.proto");
        for line in &TABLE {
            let (before, _) = proto
                .split_once(&format!("{} =", line.reason.as_str_name()))
                .expect("the reason stands in the proto");
            let comment = before.rsplit("\n\n").next().expect("rsplit gives at least one").to_owned();
            let comment = comment.rsplit(';').next().expect("rsplit gives at least one");
            let shouted = shouted(line.code);
            let end = format!("{shouted}, HTTP {}.", line.http.as_u16());
            assert!(comment.contains(&end), "{:?}: `{end}` not in {comment}", line.reason);
        }
    }

    #[test]
    fn the_docs_say_what_the_table_says() {
        let docs = include_str!("../../../docs/errors.md");
        for line in &TABLE {
            let (name, code) = (wire_name(line.reason), shouted(line.code));
            let row = format!("| `{name}` | {code} | {} | {} |", line.http.as_u16(), line.message);
            assert!(docs.contains(&row), "docs/errors.md lacks: {row}");
        }
        for rule in RULES {
            let (reason, text) = rule_text(rule);
            let row = format!("| `{}` | {text} |", wire_name(reason));
            assert!(docs.contains(&row), "docs/errors.md lacks: {row}");
        }
    }

    #[test]
    fn every_reason_of_a_field_belongs_to_one_rule() {
        let from_rules: Vec<ErrorReason> = RULES.into_iter().map(|rule| rule_text(rule).0).collect();
        let from_enum: Vec<ErrorReason> =
            (100..200).filter_map(|number| ErrorReason::try_from(number).ok()).collect();
        assert_eq!(from_rules, from_enum);
    }

    #[test]
    fn a_status_carries_reason_domain_and_all_violations() {
        let violations =
            Violations::all_of("name", &[Rule::NameTooLong, Rule::NameBidiControl]).expect("two rules");
        let status = ApiError::from(violations).into_status();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().expect("ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_REQUEST", "gatekey"));
        let fields = &details.bad_request().expect("BadRequest").field_violations;
        assert_eq!(fields.len(), 2);
        assert!(fields.iter().all(|violation| violation.field == "name"));
    }

    #[test]
    fn causes_are_not_sent() {
        let error = StoreError::Unavailable("password=hunter2 at 10.0.0.7".into());
        let status = ApiError::from(error).into_status();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!format!("{status:?}").contains("hunter2"));
    }
}
