//! Who is whom by certificate, and that a certificate never helps a bad JWT.

use std::collections::HashMap;

use gatekey_e2e::{Client, Server, reason};
use gatekey_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as EnvoyRequest};
use gatekey_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use gatekey_proto::envoy::service::auth::v3::check_response::HttpResponse;
use gatekey_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use gatekey_proto::v1::{CreateTokenRequest, TokenType, Verdict};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};
use tonic::Status;

use super::{GATEWAY, STRANGER, Setting, VERIFIER};

fn create() -> CreateTokenRequest {
    CreateTokenRequest {
        name: "a".to_owned(),
        r#type: TokenType::Batch.into(),
        years_valid: 1,
        request_id: String::new(),
    }
}

fn why<T>(answer: Result<T, Status>) -> String {
    answer.map_or_else(|status| reason(&status), |_| "fine".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_a_caller_where_no_jwt_comes() {
    let setting = Setting::new();
    let server = setting.start();
    let (_, value) = setting.developer(&server).create_batch("a").await;
    let by = |uris: &[&str]| setting.client(&server, Some(&setting.clients.client(uris)), None);
    for (uris, expected) in [
        (&[VERIFIER][..], "fine"),
        (&[STRANGER], "gatekey/ROLE_REQUIRED"),
        // Exact, and for gateways apart.
        (&[GATEWAY], "gatekey/ROLE_REQUIRED"),
        (&["spiffe://other.org/speech"], "gatekey/ROLE_REQUIRED"),
        (&[], "gatekey/CREDENTIALS_MISSING"),
        (&["https://example.org/speech"], "gatekey/CREDENTIALS_MISSING"),
        (&[VERIFIER, "https://example.org/a"], "gatekey/CREDENTIALS_MISSING"),
        (&[VERIFIER, STRANGER], "gatekey/CREDENTIALS_MISSING"),
        (&["spiffe://example.org/"], "gatekey/CREDENTIALS_MISSING"),
        (&["spiffe://Example.org/speech"], "gatekey/CREDENTIALS_MISSING"),
    ] {
        assert_eq!(why(by(uris).verify(&value).await), expected, "{uris:?}");
    }
    assert_eq!(why(setting.client(&server, None, None).verify(&value).await), "gatekey/CREDENTIALS_MISSING");
    let verifier = by(&[VERIFIER]);
    assert_eq!(why(verifier.create(create()).await), "gatekey/ROLE_REQUIRED");
    assert_eq!(why(verifier.delete(1).await), "gatekey/ROLE_REQUIRED");

    // Refusals of whoever is known are audited by name.
    let url = format!("sqlite://{}", setting.path().join("gatekey.db").display());
    let mut store = SqliteConnection::connect(&url).await.expect("the store opens");
    let audited: (i64,) =
        sqlx::query_as("SELECT count(*) FROM audit_log WHERE issuer = 'client certificate' AND subject = $1")
            .bind(VERIFIER)
            .fetch_one(&mut store)
            .await
            .expect("it is the test's own store");
    assert_eq!(audited.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_a_jwt_is_known_by_it_alone() {
    let setting = Setting::new();
    let server = setting.start();
    let (_, value) = setting.developer(&server).create_batch("a").await;
    let verifier = setting.clients.client(&[VERIFIER]);
    let with = |jwt: &str| setting.client(&server, Some(&verifier), Some(jwt));
    let expired = {
        let mut claims = setting.issuer.claims("gateway", &[], None);
        claims["exp"] = 1_000_000_000.into();
        setting.issuer.sign(&claims)
    };
    for jwt in ["nonsense", &value, &expired] {
        assert_eq!(why(with(jwt).verify(&value).await), "gatekey/CREDENTIALS_INVALID");
    }
    let developer = with(&setting.developer_jwt());
    assert_eq!(why(developer.create(create()).await), "fine");
    assert_eq!(why(developer.verify(&value).await), "gatekey/ROLE_REQUIRED");
    // And over HTTP.
    let http = setting.http(Some(&verifier));
    let url = format!("https://{}/api/v3/user", server.http);
    let answer = http.get(&url).bearer_auth("nonsense").send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_a_certificate_counts_as_well() {
    let setting = Setting::new();
    let server = setting.start();
    let user = async |http: reqwest::Client| {
        let url = format!("https://{}/api/v3/user", server.http);
        let answer = http.get(url).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let said: Value = serde_json::from_str(&answer.text().await.expect("text")).expect("JSON");
        (status, said["result"]["roles"].clone())
    };
    let by = |uri: &str| setting.http(Some(&setting.clients.client(&[uri])));
    let (status, roles) = user(by(VERIFIER)).await;
    assert_eq!((status, roles), (200, serde_json::json!([{ "value": "verifier" }])));
    assert_eq!(user(by(STRANGER)).await, (200, serde_json::json!([])));
    assert_eq!(user(setting.http(None)).await.0, 401);
    let url = format!("https://{}/api/v3/tokens", server.http);
    let answer = by(VERIFIER).get(url).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 403);
}

/// Else whoever is not signed in would be taken for what stands in front.
#[tokio::test(flavor = "multi_thread")]
async fn where_something_in_front_signs_people_in_its_certificate_does_not() {
    let setting = Setting::new();
    let server = setting.start_with(&["--jwt-header", "x-forwarded-access-token"]);
    let proxy = setting.http(Some(&setting.clients.client(&[VERIFIER])));
    let user = || proxy.get(format!("https://{}/api/v3/user", server.http));
    assert_eq!(user().send().await.expect("an answer").status().as_u16(), 401);
    let signed_in = user().header("x-forwarded-access-token", setting.developer_jwt());
    assert_eq!(signed_in.send().await.expect("an answer").status().as_u16(), 200);
}

/// What Envoy is told to answer.
async fn envoy(client: &Client, value: &str, proof: Option<(&'static str, &str)>) -> u32 {
    let headers = HashMap::from([("authorization".to_owned(), format!("Bearer {value}"))]);
    let request = HttpRequest { path: "/a".to_owned(), headers, ..HttpRequest::default() };
    let request = Some(EnvoyRequest { http: Some(request) });
    let context_extensions = HashMap::from([("type".to_owned(), "batch".to_owned())]);
    let attributes = Some(AttributeContext { request, context_extensions });
    let mut request = tonic::Request::new(CheckRequest { attributes });
    if let Some((name, proof)) = proof {
        request.metadata_mut().insert(name, proof.parse().expect("ASCII"));
    }
    let answer = AuthorizationClient::new(client.channel()).check(request).await.expect("an answer");
    match answer.into_inner().http_response {
        Some(HttpResponse::DeniedResponse(denied)) => {
            denied.status.expect("a status").code.try_into().expect("a status")
        }
        Some(HttpResponse::OkResponse(_)) => 200,
        other => panic!("no answer that Envoy can hand on: {other:?}"),
    }
}

async fn forward_auth(http: &reqwest::Client, server: &Server, value: &str, proof: Option<&str>) -> u16 {
    let url = format!("https://{}/forward-auth?type=batch", server.http);
    let mut request = http.get(url).bearer_auth(value).header("x-original-uri", "/a");
    if let Some(proof) = proof {
        request = request.header("x-gatekey-authorization", proof);
    }
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_proves_a_gateway() {
    let setting = Setting::new();
    let server = setting.start();
    let (_, value) = setting.developer(&server).create_batch("a").await;
    let jwt = format!("Bearer {}", setting.issuer.sign(&setting.issuer.claims("gateway", &[], None)));
    // Whoever may verify may ask, too.
    for (uri, told) in [(GATEWAY, 200), (VERIFIER, 200), (STRANGER, 503)] {
        let certificate = setting.clients.client(&[uri]);
        let client = setting.client(&server, Some(&certificate), None);
        let http = setting.http(Some(&certificate));
        assert_eq!(envoy(&client, &value, None).await, told, "{uri}");
        assert_eq!(u32::from(forward_auth(&http, &server, &value, None).await), told, "{uri}");
        // Whoever sends a JWT is known by it alone.
        for name in ["authorization", "x-gatekey-authorization"] {
            assert_eq!(envoy(&client, &value, Some((name, "Bearer x"))).await, 503, "{uri}, {name}");
            assert_eq!(envoy(&client, &value, Some((name, &jwt))).await, 200, "{uri}, {name}");
        }
        assert_eq!(forward_auth(&http, &server, &value, Some("Bearer x")).await, 503, "{uri}");
        assert_eq!(forward_auth(&http, &server, &value, Some(&jwt)).await, 200, "{uri}");
    }
    let nobody = setting.client(&server, None, None);
    assert_eq!(envoy(&nobody, &value, None).await, 503);
    assert_eq!(forward_auth(&setting.http(None), &server, &value, None).await, 503);
    // A gateway's client is told of its token, not of the gateway.
    let gateway = setting.client(&server, Some(&setting.clients.client(&[GATEWAY])), None);
    assert_eq!(envoy(&gateway, "nonsense", None).await, 401);
    assert_eq!(setting.verifier(&server).verdict(&value).await, Verdict::Active);
}
