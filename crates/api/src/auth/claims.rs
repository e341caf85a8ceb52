//! What a JWT says, and how its claims become a caller's tenant and roles.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatekey_core::{Role, Roles};
use gatekey_model::{TenantId, Timestamp};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{AuthError, LEEWAY, is_over};

/// All claims of a JWT. If one stands there twice, nobody knows which of them its issuer means, and others
/// may have read the other one: such a JWT is refused, as RFC 7519 section 4 allows.
pub(super) struct Claims(pub(super) Value);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of a JWT")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = members.next_entry()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands there twice"));
            }
        }
        Ok(Claims(Value::Object(claims)))
    }
}

#[derive(serde::Deserialize)]
struct IssuerClaim {
    iss: String,
}

/// Who the token says has issued it: to choose whose keys to check it with, and for nothing else.
pub(super) fn unverified_issuer(token: &str) -> Result<String, AuthError> {
    let not_a_jwt = || AuthError::Refused("the bearer token is not a JWT");
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [_, payload, _] = parts[..] else { return Err(not_a_jwt()) };
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| not_a_jwt())?;
    serde_json::from_slice::<IssuerClaim>(&payload).map(|claim| claim.iss).map_err(|_| {
        AuthError::Refused("the JWT's claims can't be read, or have no issuer (iss) that is a text")
    })
}

/// Until when the JWT holds, if it still does (RFC 7519 section 4.1.4), by the clock that the cache of
/// callers goes by too.
pub(super) fn expiry(claims: &Value, now: Timestamp) -> Result<Timestamp, AuthError> {
    let claim = claims.get("exp").ok_or(AuthError::Refused("the JWT has no expiry (exp)"))?;
    let expires = moment(claim)
        .ok_or(AuthError::Refused("the JWT's expiry (exp) is not a number of seconds, or is out of range"))?;
    if is_over(expires, now) { Err(AuthError::Refused("the JWT has expired")) } else { Ok(expires) }
}

/// Passes unless the JWT holds only later (RFC 7519 section 4.1.5).
pub(super) fn check_not_before(claims: &Value, now: Timestamp) -> Result<(), AuthError> {
    let Some(claim) = claims.get("nbf") else { return Ok(()) };
    let from = moment(claim).ok_or(AuthError::Refused(
        "the JWT's beginning (nbf) is not a number of seconds, or is out of range",
    ))?;
    if from > now.saturating_add(LEEWAY) {
        return Err(AuthError::Refused("the JWT is not valid yet (nbf)"));
    }
    Ok(())
}

/// A `NumericDate` (RFC 7519 section 2): seconds since 1970 began, rounded down to whole ones.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast to a smaller number saturates, and the range is checked"
)]
fn moment(claim: &Value) -> Option<Timestamp> {
    let seconds = claim.as_f64()?.floor() as i64;
    Timestamp::from_unix_micros(seconds.checked_mul(1_000_000)?)
}

/// The roles at a JSON pointer: `["developer"]` or `[{"value": "developer"}]`. Unknown ones are left out.
pub(super) fn roles(claims: &Value, pointer: &str) -> Roles {
    let listed = claims.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    listed
        .iter()
        .filter_map(|role| role.as_str().or_else(|| role.get("value")?.as_str()))
        .filter_map(Role::from_name)
        .collect()
}

/// The tenant at a JSON pointer: a text, or a whole number as its decimal digits.
pub(super) fn tenant(claims: &Value, pointer: &str) -> Option<TenantId> {
    match claims.pointer(pointer)? {
        Value::String(text) => TenantId::parse(text).ok(),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            TenantId::parse(&number.to_string()).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn roles_come_in_two_forms() {
        let both = Roles::default().with(Role::Developer).with(Role::Admin);
        let claims = json!({
            "plain": ["developer", "admin", "owner", 7],
            "nested": {"realm/x": [{"value": "developer"}, {"value": "admin"}, {"name": "verifier"}]},
            "text": "developer",
        });
        assert_eq!(roles(&claims, "/plain"), both);
        assert_eq!(roles(&claims, "/nested/realm~1x"), both);
        assert_eq!(roles(&claims, "/text"), Roles::default());
        assert_eq!(roles(&claims, "/absent"), Roles::default());
    }

    #[test]
    fn a_tenant_is_a_text_or_a_whole_number() {
        let claims = json!({"a": "acme", "b": 42, "c": "", "d": 1.5, "e": ["acme"], "f": null});
        let name = |pointer| tenant(&claims, pointer).map(|tenant| tenant.as_str().to_owned());
        assert_eq!(name("/a").as_deref(), Some("acme"));
        assert_eq!(name("/b").as_deref(), Some("42"));
        assert!(["/c", "/d", "/e", "/f", "/g"].into_iter().all(|pointer| name(pointer).is_none()));
    }
}
