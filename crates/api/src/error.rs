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
const TABLE: [Line; 23] = [
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
    line(ErrorReason::IssuerUnavailable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "the keys of the caller's issuer can't be looked up now; try again"),
    line(ErrorReason::LoopbackOnly, Code::PermissionDenied, StatusCode::FORBIDDEN, "a server in development mode answers only local callers, by a loopback name and through no proxy"),
    line(ErrorReason::RevocationPending, Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, "the revocation is committed, but not yet confirmed everywhere; repeat the call to wait for it"),
    line(ErrorReason::NotOffered, Code::Unimplemented, StatusCode::NOT_IMPLEMENTED, "this server does not offer the call"),
    line(ErrorReason::Internal, Code::Internal, StatusCode::INTERNAL_SERVER_ERROR, "internal error; the server's log has the cause under the request id"),
    line(ErrorReason::RequestUnreadable, Code::InvalidArgument, StatusCode::BAD_REQUEST, "the message can't be read: it is not one of this call, or its text is not UTF-8"),
    line(ErrorReason::RequestTooLarge, Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE, "the message is longer than any valid one"),
    line(ErrorReason::DeadlineExceeded, Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, "not answered before the call's deadline; what it was to do may or may not have happened"),
    line(ErrorReason::PathUnknown, Code::NotFound, StatusCode::NOT_FOUND, "nothing is served at this path"),
    line(ErrorReason::MethodNotAllowed, Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED, "the path has no such method; `allow` lists those that it has"),
    line(ErrorReason::MediaTypeUnsupported, Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON, sent as `content-type: application/json`"),
    line(ErrorReason::CrossSite, Code::PermissionDenied, StatusCode::FORBIDDEN, "the call comes from a page of another site, which may change nothing here"),
];

/// What is said of a broken rule: its reason, and a text for people.
#[rustfmt::skip]
const fn rule_text(rule: Rule) -> (ErrorReason, &'static str) {
    match rule {
        Rule::NameRequired => (ErrorReason::TokenNameRequired, "Token name required"),
        Rule::NameTooLong => (ErrorReason::TokenNameTooLong, "Token name must have at most 255 characters"),
        Rule::NameControlCharacter => (ErrorReason::TokenNameControlCharacter, "Token name must not have control characters"),
        Rule::NameBidiControl => (ErrorReason::TokenNameBidiControl, "Token name must not have bidirectional controls (U+202A to U+202E, U+2066 to U+2069)"),
        Rule::NameHoldsTokenValue => (ErrorReason::TokenNameHoldsTokenValue, "Token name must not hold a token value, which is secret"),
        Rule::TypeInvalid => (ErrorReason::TokenTypeInvalid, "Token type must be batch or realtime"),
        Rule::YearsValidInvalid => (ErrorReason::YearsValidInvalid, "Years of validity must be 1, 2 or 5"),
        Rule::RequestIdInvalid => (ErrorReason::RequestIdInvalid, "Request id must be a UUID"),
        Rule::TokenIdInvalid => (ErrorReason::TokenIdInvalid, "Token id must be a positive number"),
        Rule::PageSizeInvalid => (ErrorReason::PageSizeInvalid, "Page size must not be negative"),
        Rule::PageTokenInvalid => (ErrorReason::PageTokenInvalid, "Page token must be the next_page_token of an earlier page of the same tenant"),
        Rule::TokenRequired => (ErrorReason::TokenRequired, "Either token_value or token_sha256 is required"),
        Rule::TokenSha256Invalid => (ErrorReason::TokenSha256Invalid, "Digest must be 32 bytes (SHA-256)"),
        Rule::PositionInvalid => (ErrorReason::PositionInvalid, "Position must have a seq of 0 or more"),
        Rule::HolderInvalid => (ErrorReason::HolderInvalid, "Holder must be 16 bytes"),
        Rule::WatchEventInvalid => (ErrorReason::WatchEventInvalid, "Event must be a hello in the first message, and a renew, an ack or a release in each after it"),
        Rule::NameNotText => (ErrorReason::TokenNameNotText, "Token name must be text"),
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
            CoreError::RevocationPending { effective_in } => Self {
                metadata: vec![("effective_in_ms", effective_in.as_millis().to_string())],
                ..Self::new(ErrorReason::RevocationPending)
            },
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
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

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
mod tests;
