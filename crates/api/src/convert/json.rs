//! The same for the JSON of the REST API.

use gatekey_core::{CreateToken, Created, DeleteToken};
use gatekey_model::{RequestId, Rule, Timestamp, Token, TokenId, TokenName, TokenType, Validity, Violations};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use crate::rest::messages;

/// The fields are read one by one, so that each wrong type is told as what it is, beside all else that is wrong.
pub(crate) fn create_request(
    body: &serde_json::Map<String, Value>,
    idempotency_key: Option<&str>,
) -> Result<CreateToken, Violations> {
    let mut wrong = Vec::new();
    let name = Violations::collect(&mut wrong, name(body.get("name")));
    let kind = Violations::collect(&mut wrong, token_type(body.get("type")));
    let validity = Violations::collect(&mut wrong, validity(body.get("years_valid")));
    let request_id = Violations::collect(&mut wrong, idempotency_key.map(RequestId::parse).transpose());
    match (name, kind, validity, request_id) {
        (Some(name), Some(kind), Some(validity), Some(request_id)) => {
            Ok(CreateToken { name, kind, validity, request_id })
        }
        _ => Err(Violations::from_collected(wrong).expect("what is missing was collected")),
    }
}

fn name(value: Option<&Value>) -> Result<TokenName, Violations> {
    match value {
        None | Some(Value::Null) => Err(Violations::of("name", Rule::NameRequired)),
        Some(Value::String(text)) => TokenName::parse(text),
        Some(_) => Err(Violations::of("name", Rule::NameNotText)),
    }
}

fn token_type(value: Option<&Value>) -> Result<TokenType, Violations> {
    let name = value.and_then(Value::as_str);
    name.and_then(TokenType::from_name).ok_or_else(|| Violations::of("type", Rule::TypeInvalid))
}

fn validity(value: Option<&Value>) -> Result<Validity, Violations> {
    let years = value.and_then(whole_number).and_then(|years| i32::try_from(years).ok());
    years.and_then(Validity::from_years).ok_or_else(|| Violations::of("years_valid", Rule::YearsValidInvalid))
}

/// JSON knows one kind of number: 2 and 2.0 are the same.
fn whole_number(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and far from the bounds")]
    let from_float = |float: f64| (float.fract() == 0.0 && float.abs() < 1e15).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(from_float))
}

/// The id is the last segment of the path.
pub(crate) fn delete_request(id: &str) -> Result<DeleteToken, Violations> {
    let digits = !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit());
    let number = digits.then(|| id.parse().ok()).flatten();
    let id = number.ok_or_else(|| Violations::of("id", Rule::TokenIdInvalid)).and_then(TokenId::parse)?;
    Ok(DeleteToken { id })
}

pub(crate) fn created(created: &Created) -> messages::CreatedToken<'_> {
    messages::CreatedToken { token: token(&created.token), token_value: created.value.expose() }
}

pub(crate) fn token(token: &Token) -> messages::Token<'_> {
    messages::Token {
        id: token.id.get(),
        key: token.key.as_str(),
        name: token.name.as_str(),
        kind: token.kind.into(),
        expires: rfc_3339(token.expires),
    }
}

/// To the second, rounded down: a token is not said to live longer than it does.
fn rfc_3339(moment: Timestamp) -> String {
    let moment = moment.to_date_time();
    moment.replace_nanosecond(0).unwrap_or(moment).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatekey_model::Violation;
    use serde_json::json;

    fn read(body: &Value, key: Option<&str>) -> Result<CreateToken, Vec<(&'static str, Rule)>> {
        create_request(body.as_object().expect("an object"), key).map_err(|violations| {
            violations.as_slice().iter().map(|Violation { field, rule }| (*field, *rule)).collect()
        })
    }

    #[test]
    fn every_violation_is_said_at_once_and_a_wrong_type_as_what_it_is() {
        let wrong = read(&json!({ "name": 7, "type": "BATCH", "years_valid": "1" }), Some("x"));
        assert_eq!(
            wrong.expect_err("all is wrong"),
            [
                ("name", Rule::NameNotText),
                ("type", Rule::TypeInvalid),
                ("years_valid", Rule::YearsValidInvalid),
                ("request_id", Rule::RequestIdInvalid),
            ]
        );
        let wrong = read(&json!({}), None).expect_err("nothing is there");
        assert_eq!(wrong[0], ("name", Rule::NameRequired));
        assert_eq!(wrong.len(), 3);
    }

    #[test]
    fn a_valid_one_is_read_and_what_is_unknown_is_left_aside() {
        let body = json!({ "name": " a ", "type": "realtime", "years_valid": 2.0, "color": "red" });
        let key = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let create = read(&body, Some(key)).expect("valid");
        assert_eq!(
            (create.name.as_str(), create.kind, create.validity.years()),
            ("a", TokenType::Realtime, 2)
        );
        assert!(create.request_id.is_some());
        for years in
            [json!(3), json!(1.5), json!(-1), json!(1e300), json!(null), json!([1]), json!(4_294_967_297_u64)]
        {
            let wrong = read(&json!({ "name": "a", "type": "batch", "years_valid": years }), None);
            assert_eq!(wrong.expect_err("not one of three"), [("years_valid", Rule::YearsValidInvalid)]);
        }
    }

    #[test]
    fn an_id_is_digits() {
        assert_eq!(delete_request("7").expect("an id").id.get(), 7);
        for bad in ["", "0", "-1", "+1", "1.0", "x", "9223372036854775808", "٧", " 1"] {
            assert!(delete_request(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_told_to_the_second() {
        let moment = Timestamp::from_unix_micros(1_795_593_600_999_999).expect("in range");
        assert_eq!(rfc_3339(moment), "2026-11-25T08:00:00Z");
    }
}
