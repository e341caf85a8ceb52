//! JWTs by the right key that prove nothing, and texts that are no JWTs.

use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::fixture::{Fixture, ISSUER, NOW, claims, header, jws, jwt, jwt_by, jwt_named, with};
use super::signing_key::{SigningKey, base64url};

/// Claims by the right key, of which one is exchanged.
async fn refused_with(cases: impl IntoIterator<Item = (&'static str, Option<Value>, &'static str)>) {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for (claim, value, text) in cases {
        fixture.refused(&jwt(&key, &with(claims(), claim, value)), text).await;
    }
}

#[tokio::test]
async fn required_claims_are_required() {
    refused_with([
        ("iss", None, "no issuer (iss)"),
        ("aud", None, "no audience (aud)"),
        ("sub", None, "no subject (sub)"),
        ("exp", None, "no expiry (exp)"),
    ])
    .await;
}

#[tokio::test]
async fn an_issuer_is_an_exact_text() {
    refused_with([
        ("iss", Some(json!("https://id.example")), "not one that this server trusts"),
        ("iss", Some(json!("https://ID.example/")), "not one that this server trusts"),
        ("iss", Some(json!("")), "not one that this server trusts"),
        ("iss", Some(json!([ISSUER])), "(iss)"),
        ("iss", Some(json!(null)), "(iss)"),
        ("iss", Some(json!({"iss": ISSUER})), "(iss)"),
    ])
    .await;
}

#[tokio::test]
async fn another_audience_is_refused() {
    refused_with([
        ("aud", Some(json!("other")), "not for this audience"),
        ("aud", Some(json!("Gatekey")), "not for this audience"),
        ("aud", Some(json!("")), "not for this audience"),
        ("aud", Some(json!(["other", "gatekey2"])), "not for this audience"),
        ("aud", Some(json!([])), "not for this audience"),
        ("aud", Some(json!(["gatekey", 1])), "(aud)"),
        ("aud", Some(json!(null)), "(aud)"),
        ("aud", Some(json!({"gatekey": true})), "(aud)"),
    ])
    .await;
}

#[tokio::test]
async fn an_expiry_is_a_number_of_seconds_to_come() {
    let no_number = "(exp) is not a number of seconds";
    refused_with([
        ("exp", Some(json!(NOW - 30)), "has expired"),
        ("exp", Some(json!(NOW - 3_600)), "has expired"),
        ("exp", Some(json!(0)), "has expired"),
        ("exp", Some(json!(-1)), "has expired"),
        ("exp", Some(json!(-0.5)), "has expired"),
        ("exp", Some(json!(0.5)), "has expired"),
        ("exp", Some(json!(u64::MAX)), "out of range"),
        ("exp", Some(json!(i64::MIN)), "out of range"),
        ("exp", Some(json!(253_402_300_800_i64)), "out of range"),
        ("exp", Some(json!(1e300)), "out of range"),
        ("exp", Some(json!(-1e300)), "out of range"),
        ("exp", Some(json!((NOW + 600).to_string())), no_number),
        ("exp", Some(json!("soon")), no_number),
        ("exp", Some(json!(null)), no_number),
        ("exp", Some(json!(true)), no_number),
    ])
    .await;
}

#[tokio::test]
async fn a_jwt_that_holds_only_later_is_refused() {
    let no_number = "(nbf) is not a number of seconds";
    refused_with([
        ("nbf", Some(json!(NOW + 31)), "not valid yet"),
        ("nbf", Some(json!(NOW + 86_400)), "not valid yet"),
        ("nbf", Some(json!(u64::MAX)), "out of range"),
        ("nbf", Some(json!(1e300)), "out of range"),
        ("nbf", Some(json!("1")), no_number),
        ("nbf", Some(json!(null)), no_number),
    ])
    .await;
}

#[tokio::test]
async fn a_subject_is_a_text_that_logs_can_show() {
    let no_text = "(sub) is not a text of 1 to 255 characters";
    refused_with([
        ("sub", Some(json!("")), no_text),
        ("sub", Some(json!("ada\nadmin")), no_text),
        ("sub", Some(json!("ada\0")), no_text),
        ("sub", Some(json!("ada\u{7f}")), no_text),
        ("sub", Some(json!("ada\u{85}")), no_text),
        ("sub", Some(json!("x".repeat(256))), no_text),
        ("sub", Some(json!(7)), "(sub)"),
        ("sub", Some(json!(null)), "(sub)"),
        ("sub", Some(json!(["ada"])), "of the wrong type"),
    ])
    .await;
}

#[tokio::test]
async fn a_claim_stands_there_once() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let good = claims().to_string();
    for (member, text) in [
        (r#""exp":1"#, "twice"),
        (r#""exp":1e400"#, "can't be read"),
        (r#""nbf":1,"nbf":2"#, "twice"),
        (r#""sub":"eve""#, "twice"),
        (r#""aud":"other""#, "twice"),
        (r#""roles":["admin"]"#, "twice"),
        (r#""org":{"tenant":"evil"}"#, "twice"),
        (r#""iss":"https://evil.example/""#, "(iss)"),
        (r#""\u0069ss":"https://id.example/""#, "(iss)"),
    ] {
        for payload in
            [format!("{{{member},{}", &good[1..]), format!("{},{member}}}", &good[..good.len() - 1])]
        {
            let token = jws(&header("EdDSA").to_string(), &payload, |message| key.sign("EdDSA", message));
            fixture.refused(&token, text).await;
        }
    }
}

#[tokio::test]
async fn claims_are_a_json_object() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let good = claims().to_string();
    let too_deep = format!("{{\"x\":{},{}", nested(2_000), &good[1..]);
    let unclosed = format!("{{\"x\":{},{}", "[".repeat(2_000), &good[1..]);
    let payloads = ["", "null", "[]", "\"text\"", "{}", "{", "7", &nested(3_000), &too_deep, &unclosed];
    for payload in payloads {
        let token = jws(&header("EdDSA").to_string(), payload, |message| key.sign("EdDSA", message));
        fixture.refused(&token, "JWT").await;
    }
    let deep_header = format!(r#"{{"alg":"EdDSA","kid":"k1","x":{}}}"#, nested(2_000));
    let token = jws(&deep_header, &good, |message| key.sign("EdDSA", message));
    fixture.refused(&token, "header can't be read").await;
}

#[tokio::test]
async fn a_header_is_plain_and_names_a_key() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    for (member, value, text) in [
        ("kid", Some(json!("k9")), "(kid) is not one of the issuer's"),
        ("kid", Some(json!("")), "(kid) is not one of the issuer's"),
        ("kid", Some(json!("../../dev/null")), "(kid) is not one of the issuer's"),
        ("kid", Some(json!(1)), "header can't be read"),
        ("kid", Some(json!(["k1"])), "header can't be read"),
        ("crit", Some(json!(["b64"])), "critical extensions"),
        ("crit", Some(json!([])), "critical extensions"),
        ("crit", Some(json!("b64")), "header can't be read"),
        ("alg", None, "header can't be read"),
        ("alg", Some(json!("eddsa")), "unknown algorithm"),
        ("alg", Some(json!("ES512")), "unknown algorithm"),
        ("alg", Some(json!(["EdDSA"])), "unknown algorithm"),
    ] {
        fixture.refused(&jwt_by(&key, &with(header("EdDSA"), member, value), &claims()), text).await;
    }
}

#[tokio::test]
async fn of_several_keys_one_must_be_named() {
    let (one, other) = (SigningKey::ed25519(), SigningKey::ed25519());
    let fixture = Fixture::with_keys(&[one.jwk("k1"), other.jwk("k2")]).await;
    let unnamed = with(header("EdDSA"), "kid", None);
    fixture.refused(&jwt_by(&one, &unnamed, &claims()), "names no key (kid)").await;
    fixture.refused(&jwt_named(&one, "k2"), "signature does not fit").await;
}

#[tokio::test]
async fn other_texts_are_no_jwts() {
    let key = SigningKey::ed25519();
    let fixture = Fixture::with_key(&key).await;
    let good = jwt(&key, &claims());
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let no_jwt = "the bearer token is not a JWT";
    for (text, why) in [
        ("gk_b_4fZk91Qd0123456789ABCDEFGHIJKLMNOPQRST000000", no_jwt),
        ("a", no_jwt),
        (".", no_jwt),
        ("..", "JWT"),
        ("...", no_jwt),
        ("a.b.c", no_jwt),
        (message, no_jwt),
        (&format!("{good}.{signature}"), no_jwt),
        (&format!("{good}."), no_jwt),
        (&format!(".{good}"), no_jwt),
        (&format!("{message}=.{signature}"), no_jwt),
        (&format!("{good}="), "base64url"),
        (&format!("{good} {good}"), no_jwt),
        (&format!("{message}. {signature}"), "base64url"),
        (&"x".repeat(7 << 10), no_jwt),
        (&".".repeat(7 << 10), no_jwt),
        (&format!("{message}.{}", "A".repeat(7 << 10)), "signature does not fit"),
        (&format!("{}.{}.AAAA", base64url(vec![b'{'; 2 << 10]), base64url(claims().to_string())), "header"),
    ] {
        fixture.refused(text, why).await;
    }
    for text in ["é", "é.é.é", &format!("{good}é")] {
        fixture.refused(text, "not ASCII").await;
    }
}

#[tokio::test]
async fn an_empty_bearer_token_is_refused() {
    let fixture = Fixture::with_key(&SigningKey::ed25519()).await;
    for value in ["Bearer", "Bearer ", "Bearer    "] {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        let error = fixture.authenticator.caller(&headers).await.expect_err("refused");
        assert_eq!(error.reason(), ErrorReason::CredentialsInvalid);
        assert!(error.message().contains("empty"), "{}", error.message());
    }
}
