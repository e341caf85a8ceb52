//! The table against the enum, its comments and the docs; what a status carries.

use super::*;
use tonic_types::StatusExt;

/// Every rule; `rule_text` does not compile without all of them.
const RULES: [Rule; 17] = [
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
    Rule::NameHoldsTokenValue,
    Rule::HolderInvalid,
    Rule::WatchEventInvalid,
    Rule::NameNotText,
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
    let proto = include_str!("../../../../proto/gatekey/v1/error_reason.proto");
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
    let docs = include_str!("../../../../docs/errors.md");
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
