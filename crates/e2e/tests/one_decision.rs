//! One decision for all who ask: the same requests by VerifyToken, by Envoy's ext_authz, by HTTP forward-auth, and at a
//! service behind the interceptor. Real gateways are in `gateways/`.

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use gatekey_e2e::{Client, Cluster, FaultProxy, Link, ROOMY, Server, Start, TestIssuer, dev_token};
use gatekey_interceptor::{Access, Gatekey, Refusal, Rule, TokenType, VerifiedToken};
use gatekey_model::{PresentedToken, TokenPrefix, TokenValue};
use gatekey_proto::envoy::config::core::v3::{HeaderMap as EnvoyHeaderMap, HeaderValue as EnvoyHeader};
use gatekey_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as EnvoyRequest};
use gatekey_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use gatekey_proto::envoy::service::auth::v3::check_response::HttpResponse;
use gatekey_proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, OkHttpResponse,
};
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{TokenType as WireType, Verdict, VerifyTokenRequest};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::Code;
use tower::ServiceExt;

const RULES: [Rule; 3] = [Rule::Batch, Rule::Realtime, Rule::Any];

/// What becomes of a request, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    /// The token's id and type, or the reason of a refusal.
    what: String,
    challenge: Option<String>,
    retry_after: Option<String>,
}

/// A way in which somebody asks.
struct Asker {
    client: Client,
    http: reqwest::Client,
    base: String,
    gatekey: Gatekey,
}

impl Asker {
    async fn new(server: &Server, folder: &TempDir) -> Self {
        let jwt = dev_token(folder.path(), &["--role", "verifier"]);
        let gatekey = Gatekey::builder([format!("http://{}", server.grpc)]).bearer(&jwt).capacity(4_096);
        let gatekey = gatekey.connect().expect("good settings");
        timeout(ROOMY, gatekey.leased()).await.expect("in time");
        Self {
            client: server.client(folder.path(), &["verifier"], "acme"),
            http: reqwest::Client::new(),
            base: format!("http://{}/forward-auth", server.http),
            gatekey,
        }
    }

    /// By the layer of the interceptor, in front of a handler that says whose token it sees.
    async fn interceptor(&self, values: &[&[u8]], access: impl Into<Access>, path: &str) -> Told {
        let handler = async |token: VerifiedToken| format!("{} {}", token.id(), token.token_type());
        let service = Router::new().fallback(handler).layer(self.gatekey.layer(access));
        let mut request = axum::http::Request::get(path);
        for value in values {
            request = request.header("authorization", *value);
        }
        let answer =
            service.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        let what = if parts.status.is_success() {
            String::from_utf8(body.to_vec()).expect("text")
        } else {
            reason(&body)
        };
        told(parts.status.as_u16(), what, &parts.headers)
    }

    async fn forward_auth(&self, values: &[&[u8]], query: &str, path: &str) -> Told {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("authorization", HeaderValue::from_bytes(value).expect("a value"));
        }
        headers.insert("x-original-uri", HeaderValue::from_str(path).expect("a value"));
        let asked = self.http.get(format!("{}{query}", self.base)).headers(headers).send().await;
        let answer = asked.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.expect("a body");
        let what = if status == 200 {
            let text = |name: &str| headers[name].to_str().expect("ASCII").to_owned();
            format!("{} {}", text("x-gatekey-token-id"), text("x-gatekey-token-type"))
        } else {
            reason(&body)
        };
        told(status, what, &headers)
    }

    async fn check(&self, request: HttpRequest, extensions: &[(&str, &str)]) -> CheckResponse {
        let context_extensions =
            extensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Some(EnvoyRequest { http: Some(request) });
        let request = CheckRequest { attributes: Some(AttributeContext { request, context_extensions }) };
        let answer = AuthorizationClient::new(self.client.channel()).check(request).await;
        answer.expect("every question is answered").into_inner()
    }

    /// As Envoy asks, with values joined or one by one.
    async fn ext_authz(&self, values: &[&[u8]], extensions: &[(&str, &str)], path: &str, raw: bool) -> Told {
        let mut request = HttpRequest { path: path.to_owned(), ..HttpRequest::default() };
        if raw {
            let header = |value: &&[u8]| EnvoyHeader {
                key: "authorization".to_owned(),
                value: String::new(),
                raw_value: value.to_vec(),
            };
            request.header_map = Some(EnvoyHeaderMap { headers: values.iter().map(header).collect() });
        } else if !values.is_empty() {
            // What is not UTF-8 can't be sent otherwise, and Envoy replaces it.
            let joined = String::from_utf8_lossy(&values.join(&b","[..])).into_owned();
            request.headers = HashMap::from([("authorization".to_owned(), joined)]);
        }
        envoy_told(&self.check(request, extensions).await)
    }

    async fn verify_token(&self, value: &str, rule: Rule) -> Told {
        let required_type = match rule.required() {
            None => WireType::Unspecified,
            Some(TokenType::Batch) => WireType::Batch,
            Some(TokenType::Realtime) => WireType::Realtime,
        };
        let request = VerifyTokenRequest {
            credential: Some(Credential::TokenValue(value.to_owned())),
            required_type: required_type.into(),
            position: None,
        };
        match self.client.verify_with(request).await {
            Ok(answer) => {
                let token = answer.token.as_ref();
                match (answer.verdict(), rule.required()) {
                    (Verdict::Active, _) => {
                        let token = token.expect("with its verdict");
                        let kind = if token.r#type() == WireType::Batch { "batch" } else { "realtime" };
                        told(200, format!("{} {kind}", token.id), &HeaderMap::new())
                    }
                    (Verdict::WrongType, Some(required)) => refused(Refusal::WrongType(required)),
                    _ => refused(Refusal::Invalid),
                }
            }
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "nobody can tell");
                refused(Refusal::Unverifiable)
            }
        }
    }

    /// All of them agree; what they say.
    async fn all(&self, values: &[&[u8]], rule: Rule) -> Told {
        let name = name(rule);
        let told = self.interceptor(values, access(rule), "/a").await;
        assert_eq!(
            self.forward_auth(values, &format!("?type={name}"), "/a").await,
            told,
            "forward-auth, {name}"
        );
        for raw in [false, true] {
            let envoy = self.ext_authz(values, &[("type", name)], "/a", raw).await;
            assert_eq!(envoy, told, "ext_authz, {name}, raw: {raw}");
        }
        // VerifyToken takes a value, without what is around it.
        let bare = |value: &[u8]| {
            let token = std::str::from_utf8(value).ok()?.strip_prefix("Bearer ")?;
            (!token.is_empty() && !token.contains([',', ' '])).then(|| token.to_owned())
        };
        if let [value] = values
            && let Some(value) = bare(value)
        {
            assert_eq!(self.verify_token(&value, rule).await, told, "VerifyToken, {name}");
        }
        told
    }
}

fn access(rule: Rule) -> Access {
    match rule {
        Rule::Batch => Access::batch(),
        Rule::Realtime => Access::realtime(),
        Rule::Any | Rule::Public => Access::any(),
    }
}

fn name(rule: Rule) -> &'static str {
    match rule {
        Rule::Batch => "batch",
        Rule::Realtime => "realtime",
        Rule::Any | Rule::Public => "any",
    }
}

fn reason(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    body["detail"][0]["type"].as_str().expect("a reason").to_owned()
}

fn told(status: u16, what: String, headers: &HeaderMap) -> Told {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    Told { status, what, challenge: text("www-authenticate"), retry_after: text("retry-after") }
}

/// A question that was not read is answered "cannot tell", in text: it is not known which protocol its client speaks.
fn assert_unread(answer: &CheckResponse) {
    let Some(HttpResponse::DeniedResponse(denied)) = &answer.http_response else { panic!("it is refused") };
    assert_eq!(denied.status.as_ref().expect("a status").code, 503);
    assert_eq!(denied.body, Refusal::Unverifiable.message());
    let headers = denied.headers.iter().filter_map(|option| option.header.as_ref());
    let headers: Vec<_> = headers.map(|header| (header.key.as_str(), header.value.as_str())).collect();
    assert_eq!(
        headers,
        [("content-type", "text/plain"), ("cache-control", "no-store"), ("retry-after", "1")]
    );
}

fn refused(refusal: Refusal) -> Told {
    let response = refusal.to_http::<Vec<u8>>();
    told(response.status().as_u16(), refusal.reason().to_owned(), response.headers())
}

fn envoy_told(answer: &CheckResponse) -> Told {
    let status = answer.status.as_ref().expect("a status");
    match answer.http_response.as_ref().expect("an answer for HTTP") {
        HttpResponse::OkResponse(OkHttpResponse { headers, .. }) => {
            assert_eq!(status.code, i32::from(Code::Ok));
            let value = |name: &str| {
                let mut headers = headers.iter().filter_map(|option| option.header.as_ref());
                headers
                    .find(|header| header.key == name)
                    .map(|header| header.value.clone())
                    .expect("it is set")
            };
            let what = format!("{} {}", value("x-gatekey-token-id"), value("x-gatekey-token-type"));
            told(200, what, &HeaderMap::new())
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(status.code, i32::from(Code::Ok));
            let headers = denied.headers.iter().filter_map(|option| option.header.as_ref());
            let headers = headers.map(|header| {
                let name: reqwest::header::HeaderName = header.key.parse().expect("a name");
                (name, HeaderValue::from_str(&header.value).expect("a value"))
            });
            let code = denied.status.as_ref().expect("a status").code;
            told(
                u16::try_from(code).expect("three digits"),
                reason(denied.body.as_bytes()),
                &headers.collect(),
            )
        }
    }
}

/// Tokens of each kind there is, on SQLite, where the test can make one expire.
struct Tokens {
    batch: String,
    realtime: String,
    revoked: String,
    expired: String,
    unknown: String,
}

impl Tokens {
    async fn make(server: &Server, folder: &TempDir) -> Self {
        let developer = server.client(folder.path(), &["developer"], "acme");
        let (_, batch) = developer.create_batch("batch").await;
        let (_, realtime) = developer.create_realtime("realtime").await;
        let (gone, revoked) = developer.create_batch("revoked").await;
        developer.delete(gone.id).await.expect("deleted");
        let (over, expired) = developer.create_batch("expired").await;
        let url = format!("sqlite://{}", folder.path().join("gatekey.db").display());
        let mut store = SqliteConnection::connect(&url).await.expect("the store opens");
        // Nobody has asked for it yet, so nobody remembers it.
        let update =
            sqlx::query("UPDATE token SET expire_time = 1, create_time = 0 WHERE id = $1").bind(over.id);
        update.execute(&mut store).await.expect("it is the test's own store");
        let unknown =
            TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        Self { batch, realtime, revoked, expired, unknown: unknown.expose().to_owned() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_gets_the_same_decision() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--gateway-peer", "127.0.0.1"]).start();
    let tokens = Tokens::make(&server, &folder).await;
    let asker = Asker::new(&server, &folder).await;

    for rule in RULES {
        for (token, kind) in [(&tokens.batch, TokenType::Batch), (&tokens.realtime, TokenType::Realtime)] {
            let expected = match rule.required() {
                Some(required) if required != kind => "API_TOKEN_WRONG_TYPE".to_owned(),
                _ => kind.to_string(),
            };
            for value in [format!("Bearer {token}"), format!("bearer  {token} ")] {
                let told = asker.all(&[value.as_bytes()], rule).await;
                assert!(told.what.ends_with(&expected), "{rule:?}: {told:?}");
            }
        }
        let mistyped = format!("{}x", &tokens.batch[..tokens.batch.len() - 1]);
        assert!(PresentedToken::parse(&mistyped).is_err() || mistyped == tokens.batch);
        for bad in ["gk_b_short", "x", &mistyped, &tokens.unknown, &tokens.revoked, &tokens.expired] {
            let told = asker.all(&[format!("Bearer {bad}").as_bytes()], rule).await;
            assert_eq!((told.status, told.what.as_str()), (401, "API_TOKEN_INVALID"));
        }
        let good = format!("Bearer {}", tokens.batch);
        let good = good.as_bytes();
        for missing in [&[][..], &[&b"Basic abc"[..]], &[b""], &[b"Bearerx"]] {
            assert_eq!(asker.all(missing, rule).await, refused(Refusal::Missing), "{missing:?}");
        }
        let joined = [good, b", ", good].concat();
        for unreadable in [
            &[good, good][..],
            &[good, b"Basic abc"],
            &[b"", good],
            &[&joined],
            &[b"Bearer"],
            &[b"Bearer \xff"],
        ] {
            assert_eq!(asker.all(unreadable, rule).await, refused(Refusal::Unreadable));
        }
    }
}

/// A gateway finds the rule by its own reading of a path; here it is that of the interceptor's table. For each path: the rule of
/// the table, and whether it has one reading.
#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_get_by_no_rule() {
    const PATHS: [(&str, Option<Rule>, bool); 23] = [
        ("/batch/7", Some(Rule::Batch), true),
        ("/realtime/7", Some(Rule::Realtime), true),
        ("/batch/7?type=realtime", Some(Rule::Batch), true),
        ("/batch/a%20b", Some(Rule::Batch), true),
        ("/other", None, true),
        ("/Batch/7", None, true),
        ("/BATCH/7", None, true),
        ("/batch", None, true),
        ("/batch/7/", None, true),
        ("/batch/../realtime/7", None, false),
        ("/batch/./7", None, false),
        ("/batch//7", None, false),
        ("//batch/7", None, false),
        ("/batch%2f7", None, false),
        ("/%62atch/7", None, false),
        // One segment to the router of the service, and perhaps two to somebody else.
        ("/batch/..%2frealtime", None, false),
        ("/batch/..%5crealtime", Some(Rule::Batch), false),
        ("/batch/%2e%2e", None, false),
        ("/batch/7%00", Some(Rule::Batch), false),
        ("/batch/..;a", Some(Rule::Batch), false),
        ("/batch/7;a=b", Some(Rule::Batch), false),
        ("/batch/..%3Brealtime", Some(Rule::Batch), false),
        ("/batch/%c0%ae%c0%ae", Some(Rule::Batch), false),
    ];
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--gateway-peer", "127.0.0.1"]).start();
    let tokens = Tokens::make(&server, &folder).await;
    let asker = Asker::new(&server, &folder).await;
    let access = Access::routes([("/batch/{id}", Rule::Batch), ("/realtime/{id}", Rule::Realtime)]);
    let access = access.expect("a good table");

    for (path, rule, one_reading) in PATHS {
        for token in [&tokens.batch, &tokens.realtime] {
            let value = format!("Bearer {token}");
            let values = [value.as_bytes()];
            let service = asker.interceptor(&values, access.clone(), path).await;
            assert_eq!(service.what == "NO_ACCESS_RULE", rule.is_none(), "{path}: {service:?}");
            let expected = if one_reading { service } else { refused(Refusal::NoRule) };
            // Where the path has no rule and one reading, the gateway has none either. Otherwise it is the path that is refused.
            let asked = rule.or((!one_reading).then_some(Rule::Any));
            let query = asked.map(|rule| format!("?type={}", name(rule))).unwrap_or_default();
            assert_eq!(asker.forward_auth(&values, &query, path).await, expected, "forward-auth, {path}");
            let extensions: Vec<_> = asked.map(|rule| ("type", name(rule))).into_iter().collect();
            let envoy = asker.ext_authz(&values, &extensions, path, false).await;
            assert_eq!(envoy, expected, "ext_authz, {path}");
        }
    }
    // A route that is meant to take them says so.
    let value = format!("Bearer {}", tokens.batch);
    let allowed =
        asker.forward_auth(&[value.as_bytes()], "?type=batch&ambiguous_paths=allow", "/a%2fb").await;
    assert_eq!(allowed.status, 200);
    let extensions = [("type", "batch"), ("ambiguous_paths", "allow")];
    assert_eq!(asker.ext_authz(&[value.as_bytes()], &extensions, "/a%2fb", false).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_nobody_can_tell() {
    let folder = TempDir::new().expect("a folder");
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    let server = Start::in_folder(folder.path())
        .args(["--dev", "--database-url", &database.url, "--lease", "2", "--gateway-peer", "127.0.0.1"])
        .start();
    let developer = server.client(folder.path(), &["developer"], "acme");
    let (_, value) = developer.create_batch("survivor").await;
    let asker = Asker::new(&server, &folder).await;
    let value = format!("Bearer {value}");
    let values = [value.as_bytes()];
    assert_eq!(asker.all(&values, Rule::Batch).await.status, 200);

    cluster.stop();
    let ended = async {
        // What is in memory goes on while the lease lives, and is never more than that.
        while asker.forward_auth(&values, "?type=batch", "/a").await.status == 200 {}
        while asker.interceptor(&values, Access::batch(), "/a").await.status == 200 {}
    };
    timeout(ROOMY, ended).await.expect("leases end");
    for rule in RULES {
        assert_eq!(asker.all(&values, rule).await, refused(Refusal::Unverifiable));
    }
    // What needs no store is still refused for what it is.
    assert_eq!(asker.all(&[], Rule::Batch).await, refused(Refusal::Missing));

    cluster.resume();
    let recovered = async { while asker.forward_auth(&values, "?type=batch", "/a").await.status != 200 {} };
    timeout(ROOMY, recovered).await.expect("it recovers");
    timeout(ROOMY, asker.gatekey.leased()).await.expect("in time");
    assert_eq!(asker.all(&values, Rule::Batch).await.status, 200);
}

/// The store is there and says nothing: a gateway is answered before it makes something of its own of the silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_is_an_answer_in_time() {
    let folder = TempDir::new().expect("a folder");
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    let (url, link) = FaultProxy::before_database(&database.url, database.address()).await;
    let server = Start::in_folder(folder.path())
        .args(["--dev", "--database-url", &url, "--lease", "120", "--gateway-peer", "127.0.0.1"])
        .start();
    let asker = Asker::new(&server, &folder).await;
    let developer = server.client(folder.path(), &["developer"], "acme");
    let (_, value) = developer.create_batch("never asked for").await;
    let value = format!("Bearer {value}");
    let values = [value.as_bytes()];
    link.set(Link::STALLED);
    assert_eq!(asker.forward_auth(&values, "?type=batch", "/a").await, refused(Refusal::Unverifiable));
    for raw in [false, true] {
        let told = asker.ext_authz(&values, &[("type", "batch")], "/a", raw).await;
        assert_eq!(told, refused(Refusal::Unverifiable));
    }
    // A gateway that waits for less than that is answered in less.
    let request = HttpRequest { path: "/a".to_owned(), ..HttpRequest::default() };
    let headers = HashMap::from([("authorization".to_owned(), value.clone())]);
    let request = Some(EnvoyRequest { http: Some(HttpRequest { headers, ..request }) });
    let context_extensions = HashMap::from([("type".to_owned(), "batch".to_owned())]);
    let attributes = Some(AttributeContext { request, context_extensions });
    let mut request = tonic::Request::new(CheckRequest { attributes });
    request.set_timeout(Duration::from_millis(200));
    let answer = AuthorizationClient::new(asker.client.channel()).check(request).await;
    if let Ok(answer) = answer {
        assert_eq!(envoy_told(answer.get_ref()).status, 503);
    } else {
        // A busy machine: the client's own clock was first, which is no accept either.
        assert_eq!(answer.expect_err("it is one").code(), Code::Cancelled);
    }
    link.heal();
    let recovered = async { while asker.forward_auth(&values, "?type=batch", "/a").await.status != 200 {} };
    timeout(ROOMY, recovered).await.expect("it recovers");
}

/// A gateway that can't prove that it is one is told nothing of any token, and its client is not told to go away.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_gateway_gets_no_decision() {
    let folder = TempDir::new().expect("a folder");
    let issuer = TestIssuer::new("https://login.example.com");
    let server = Start::in_folder(folder.path()).trusting(&issuer, folder.path()).start();
    let sign = |subject: &str, roles: &[&str]| issuer.sign(&issuer.claims(subject, roles, Some("acme")));
    let developer = server.client_with(&sign("ann", &["developer"]));
    let (token, value) = developer.create_batch("batch").await;
    let good = format!("Bearer {value}");
    let verifier = format!("Bearer {}", sign("gateway", &[]));
    let nobody = format!("Bearer {}", sign("ann", &["developer"]));
    let unknown = refused(Refusal::Unverifiable);

    let http = reqwest::Client::new();
    let ask = async |proof: Option<&str>| {
        let mut request = http.get(format!("http://{}/forward-auth?type=batch", server.http));
        request = request.header("authorization", &good).header("x-original-uri", "/a");
        if let Some(proof) = proof {
            request = request.header("x-gatekey-authorization", proof);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.expect("a body");
        told(status, if body.is_empty() { String::new() } else { reason(&body) }, &headers)
    };
    assert_eq!(ask(Some(&verifier)).await.status, 200);
    for proof in [None, Some(nobody.as_str()), Some("Bearer x"), Some("Basic x"), Some(good.as_str())] {
        assert_eq!(ask(proof).await, unknown, "not its client's 401, and not an accept");
    }
    // The token of a client is no proof of a gateway, nor is a gateway's JWT a token.
    let swapped = http.get(format!("http://{}/forward-auth?type=batch", server.http));
    let swapped = swapped.header("authorization", &verifier).header("x-gatekey-authorization", &verifier);
    let swapped = swapped.header("x-original-uri", "/a");
    assert_eq!(swapped.send().await.expect("an answer").status().as_u16(), 401);

    let check = async |metadata: &'static str, proof: Option<&str>| {
        let headers = HashMap::from([("authorization".to_owned(), good.clone())]);
        let request = HttpRequest { path: "/a".to_owned(), headers, ..HttpRequest::default() };
        let context_extensions = HashMap::from([("type".to_owned(), "batch".to_owned())]);
        let request = Some(EnvoyRequest { http: Some(request) });
        let attributes = Some(AttributeContext { request, context_extensions });
        let mut request = tonic::Request::new(CheckRequest { attributes });
        if let Some(proof) = proof {
            request.metadata_mut().insert(metadata, proof.parse().expect("ASCII"));
        }
        AuthorizationClient::new(server.stranger().channel())
            .check(request)
            .await
            .expect("an answer")
            .into_inner()
    };
    for metadata in ["authorization", "x-gatekey-authorization"] {
        let allowed = envoy_told(&check(metadata, Some(&verifier)).await);
        assert_eq!((allowed.status, allowed.what), (200, format!("{} batch", token.id)));
        for (proof, code) in [
            (None, Code::Unauthenticated),
            (Some(nobody.as_str()), Code::PermissionDenied),
            (Some("Bearer x"), Code::Unauthenticated),
        ] {
            let answer = check(metadata, proof).await;
            assert_unread(&answer);
            assert_eq!(answer.status.expect("a status").code, i32::from(code), "the gateway is told why");
        }
    }
}

/// What Envoy puts into the request, and takes out of it.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_is_told_who_calls_and_what_to_remove() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--gateway-peer", "127.0.0.1"]).start();
    let asker = Asker::new(&server, &folder).await;
    let developer = server.client(folder.path(), &["developer"], "söhne & co");
    let (token, value) = developer.create_realtime("Прямой эфир 100%").await;
    let headers = [
        ("authorization", format!("Bearer {value}")),
        ("x-gatekey-token-id", "1".to_owned()),
        ("x-gatekey-admin", "yes".to_owned()),
        ("x_gatekey_token_tenant", "other".to_owned()),
        ("content-type", "application/grpc+proto".to_owned()),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let request = HttpRequest { path: "/a".to_owned(), headers, ..HttpRequest::default() };
    let extensions = [("type", "any"), ("strip_authorization", "true")];
    let answer = asker.check(request.clone(), &extensions).await;
    let Some(HttpResponse::OkResponse(OkHttpResponse { headers, mut headers_to_remove })) =
        answer.http_response
    else {
        panic!("it is let through")
    };
    headers_to_remove.sort();
    assert_eq!(headers_to_remove, ["authorization", "x-gatekey-admin", "x_gatekey_token_tenant"]);
    let headers: HashMap<_, _> = headers
        .into_iter()
        .filter_map(|option| option.header)
        .map(|header| (header.key, header.value))
        .collect();
    assert_eq!(headers["x-gatekey-token-id"], token.id.to_string());
    assert_eq!(headers["x-gatekey-token-tenant"], "s%C3%B6hne%20%26%20co");
    assert_eq!(headers["x-gatekey-token-key"], token.key);
    assert!(headers["x-gatekey-token-name"].ends_with("%20100%25") && headers.len() == 6, "{headers:?}");
    let metadata = answer.dynamic_metadata.expect("for other filters").fields;
    let text = |name: &str| match metadata[name].kind.as_ref() {
        Some(prost_types::value::Kind::StringValue(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!((text("tenant").as_str(), text("name").as_str()), ("söhne & co", "Прямой эфир 100%"));
    assert_eq!((text("token_id"), text("type")), (token.id.to_string(), "realtime".to_owned()));

    // A client of gRPC finds the reason where it looks for it.
    let answer = asker.check(request, &[("type", "batch")]).await;
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("it is refused") };
    let headers: Vec<_> = denied.headers.into_iter().filter_map(|option| option.header).collect();
    assert!(headers.iter().any(|header| header.key == "grpc-status-details-bin"));
    assert!(headers.iter().all(|header| header.key != "content-type"));
    assert_eq!(denied.body, Refusal::WrongType(TokenType::Batch).message());
}

/// What is longer than a gateway's question can be is "cannot tell" as well: its client must not decide what becomes of it.
#[tokio::test(flavor = "multi_thread")]
async fn long_questions_are_answered() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--gateway-peer", "127.0.0.1"]).start();
    let asker = Asker::new(&server, &folder).await;
    let developer = server.client(folder.path(), &["developer"], "acme");
    let (_, value) = developer.create_batch("batch").await;
    let mut headers: HashMap<_, _> =
        (0..1_000).map(|number| (format!("x-{number}"), "x".repeat(100))).collect();
    headers.insert("authorization".to_owned(), format!("Bearer {value}"));
    let request = HttpRequest { path: "/a".to_owned(), headers, ..HttpRequest::default() };
    assert_eq!(envoy_told(&asker.check(request, &[("type", "batch")]).await).status, 200);
    let request = HttpRequest { path: format!("/{}", "a".repeat(1 << 20)), ..HttpRequest::default() };
    let attributes =
        AttributeContext { request: Some(EnvoyRequest { http: Some(request) }), ..Default::default() };
    let asked = AuthorizationClient::new(asker.client.channel())
        .check(CheckRequest { attributes: Some(attributes) })
        .await;
    let answer = asked.expect("an answer that can be handed on").into_inner();
    assert_unread(&answer);
    assert_ne!(answer.status.expect("a status").code, i32::from(Code::Ok));
    let long = asker.forward_auth(&[b"Bearer x"], "?type=batch", &format!("/{}", "a".repeat(100_000))).await;
    assert_eq!(long.status, 401);
    timeout(Duration::from_secs(10), asker.gatekey.leased()).await.expect("nothing has come of it");
}
