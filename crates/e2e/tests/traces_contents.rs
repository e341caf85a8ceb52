//! What is in spans: what docs/operations.md says, and never a token's value, its digest, its name, a tenant, a JWT, a header or a
//! query.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use gatekey_e2e::{Cluster, Exported, OtlpSink, ROOMY, Start, TestIssuer, hex, root, tree};
use gatekey_interceptor::{Gatekey, Rule};
use gatekey_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use gatekey_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as EnvoyRequest};
use gatekey_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use gatekey_proto::envoy::service::auth::v3::check_response::HttpResponse;
use gatekey_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{CreateTokenRequest, TokenType, VerifyTokenRequest};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

/// What Envoy asks about a request with this value, with the caller's headers in its attributes.
fn question(value: &str) -> CheckRequest {
    let header = |key: &str, value: String| HeaderValue { key: key.to_owned(), value, raw_value: Vec::new() };
    let headers = vec![
        header("authorization", format!("Bearer {value}")),
        // The client's own, which is not the call's.
        header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    ];
    let http = HttpRequest {
        path: "/secret-path?secret-query".to_owned(),
        header_map: Some(HeaderMap { headers }),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(EnvoyRequest { http: Some(http) }),
            context_extensions: [("type".to_owned(), "batch".to_owned())].into(),
        }),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_exported() {
    let folder = TempDir::new().expect("a folder");
    let sink = OtlpSink::start().await;
    let issuer = TestIssuer::new("https://login.example.com");
    let mut server = Start::in_folder(folder.path())
        .trusting(&issuer, folder.path())
        .args(["--otlp-endpoint", &sink.url(), "--log-format", "json", "--gateway-peer", "127.0.0.1"])
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .env("OTEL_SERVICE_NAME", "keys")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.namespace=speech")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hunter2")
        .start();
    let jwt = issuer.sign(&issuer.claims("gateway", &["developer"], Some("secret-tenant")));
    let client = server.client_with(&jwt);
    let (first, first_value) = client.create_batch("secret-name").await;
    let mut values = vec![first_value.clone()];

    let verified = async |value: &str| {
        let credential = Some(Credential::TokenValue(value.to_owned()));
        let mut request = client.request(VerifyTokenRequest { credential, ..Default::default() });
        request.metadata_mut().insert("x-request-id", "secret-call-id".parse().expect("ASCII"));
        request.metadata_mut().insert("x-secret", "secret-header".parse().expect("ASCII"));
        TokenServiceClient::new(client.channel()).verify_token(request).await.expect("an answer");
    };
    verified(&first_value).await;
    verified("gk_b_secret").await;

    let http = reqwest::Client::builder().user_agent("secret-agent").build().expect("a client");
    let base = format!("http://{}", server.http);
    let rest = |method, path: &str| http.request(method, format!("{base}{path}")).bearer_auth(&jwt);
    let body = json!({ "name": "secret-name", "type": "batch", "years_valid": 1 }).to_string();
    let created = rest(reqwest::Method::POST, "/api/v3/tokens?secret-query")
        .header("content-type", "application/json")
        .header("idempotency-key", "67e55044-10b1-426f-9247-bb680e5fe0c8")
        .body(body);
    let created = created.send().await.expect("an answer").bytes().await.expect("a body");
    let created: serde_json::Value = serde_json::from_slice(&created).expect("JSON");
    let value = created["token_value"].as_str().expect("a value").to_owned();
    let asked = http.get(format!("{base}/forward-auth?type=batch")).bearer_auth(&value);
    assert_eq!(
        asked.header("x-original-uri", "/a?secret-query").send().await.expect("an answer").status(),
        200
    );
    let odd = http.get(format!("{base}/{value}")).send().await.expect("an answer");
    assert_eq!(odd.status(), 404);
    let envoy = AuthorizationClient::new(client.channel()).check(question(&value)).await;
    let told = envoy.expect("an answer").into_inner().http_response;
    assert!(matches!(told, Some(HttpResponse::OkResponse(_))), "{told:?}");
    rest(reqwest::Method::DELETE, &format!("/api/v3/tokens/{}", created["id"]))
        .send()
        .await
        .expect("an answer");
    client.delete(first.id).await.expect("deleted");
    server.client_with(&format!("{jwt}x")).list(0, "").await.expect_err("refused");
    values.push(value);
    assert!(server.terminate().success());

    let spans = sink.spans();
    assert!(spans.len() > 10, "{}", tree(&spans));
    let bytes = sink.bytes();
    let mut secrets: Vec<Vec<u8>> = ["secret", "hunter2", "67e55044", &jwt, first.key.as_str()]
        .map(|text| text.as_bytes().to_vec())
        .into();
    // The JWT's parts, and both values with what they are known by.
    secrets.extend(jwt.split('.').map(|part| part.as_bytes().to_vec()));
    for value in &values {
        let digest = Sha256::digest(value);
        secrets.extend([
            value.as_bytes().to_vec(),
            value.as_bytes()[13..].to_vec(),
            digest.to_vec(),
            hex(&digest).into_bytes(),
        ]);
    }
    for secret in &secrets {
        assert!(!contains(&bytes, secret), "{}\n{}", String::from_utf8_lossy(secret), tree(&spans));
    }
    // It would be found: what is exported can be read.
    assert!(contains(&bytes, b"gatekey.v1.TokenService/VerifyToken"));

    assert_eq!(sink.header("x-api-key").as_deref(), Some("hunter2"));
    for exported in &spans {
        assert_eq!(exported.service(), "keys");
        assert_eq!(exported.resource["deployment.environment.name"], "test");
        assert!(exported.resource.contains_key("service.instance.id"));
        assert!(exported.span.events.is_empty(), "lines of the log are no events");
    }
    // Lines of the log say to which span they belong.
    let create = spans.iter().find(|exported| exported.span.name.ends_with("/CreateToken")).expect("a span");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("token created")).expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["trace_id"], hex(&create.span.trace_id));
    assert_eq!((&line["span_id"], &line["trace_flags"]), (&json!(hex(&create.span.span_id)), &json!("01")));
}

/// The rows of docs/operations.md: each kind of span and its attributes.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/operations.md")).expect("a file");
    let (_, table) = text.split_once("| span | kind | attributes |\n").expect("a table of spans");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let quoted =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let kind = cells[2].trim();
        let name = quoted(cells[1]).into_iter().next().expect("a name");
        (format!("{name} ({kind})"), quoted(cells[3]).into_iter().collect())
    })
    .collect()
}

/// The row in which a span belongs.
fn row(exported: &Exported) -> String {
    let name = if exported.attributes.contains_key("rpc.method") {
        "METHOD"
    } else if exported.attributes.contains_key("db.system.name") {
        "OPERATION DATABASE"
    } else if exported.kind() == "server" {
        "VERB ROUTE"
    } else {
        exported.span.name.as_str()
    };
    format!("{name} ({})", exported.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_as_the_docs_say() {
    let folder = TempDir::new().expect("a folder");
    let sink = OtlpSink::start().await;
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    // An issuer whose keys can't be had.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let keys = format!("http://{}/keys", listener.local_addr().expect("bound"));
    let broken = Router::new().fallback(async || StatusCode::INTERNAL_SERVER_ERROR);
    tokio::spawn(async { axum::serve(listener, broken).await });
    let config = folder.path().join("gatekey.toml");
    let down = TestIssuer::new("https://down.example.com");
    let text =
        format!("[[issuers]]\nissuer = \"{}\"\naudience = \"gatekey\"\njwks = \"{keys}\"\n", down.name);
    std::fs::write(&config, text).expect("written");
    let issuer = TestIssuer::new("https://login.example.com");
    let mut server = Start::in_folder(folder.path())
        .trusting(&issuer, folder.path())
        .args(["--database-url", &database.url, "--lease", "2", "--otlp-endpoint", &sink.url()])
        .args(["--trace-ratio", "1"])
        .arg("--config")
        .arg(config)
        .start();
    let jwt = issuer.sign(&issuer.claims("gateway", &["developer"], Some("acme")));
    let client = server.client_with(&jwt);

    let (token, value) = client.create_batch("a").await;
    client.verify(&value).await.expect("an answer");
    client.list(0, "").await.expect("a list");
    client.create(CreateTokenRequest::default()).await.expect_err("it breaks rules");
    let refused = server.client_with(&down.sign(&down.claims("a", &[], None))).list(0, "").await;
    assert_eq!(refused.expect_err("nobody can tell").code(), Code::Unavailable);
    let check = async |channel: Channel| AuthorizationClient::new(channel).check(question(&value)).await;
    check(client.channel()).await.expect("every question is answered");
    // A stranger who asks as a gateway is told that nobody can tell: a fault of the server, to them.
    for path in ["/forward-auth?type=batch", "/api/v3/tokens/7", "/nowhere"] {
        reqwest::get(format!("http://{}{path}", server.http)).await.expect("an answer");
    }
    // A holder that has crashed is waited for.
    let holder = Gatekey::builder([format!("http://{}", server.grpc)]).bearer(&jwt).capacity(16);
    let holder = holder.connect().expect("good settings");
    timeout(ROOMY, holder.leased()).await.expect("in time");
    holder.verify(&value, Rule::Batch).await.expect("good");
    holder.crash();
    client.delete_within(token.id, Duration::from_millis(300)).await.expect_err("it waits for longer");
    client.delete(token.id).await.expect("deleted");
    cluster.stop();
    client
        .create(CreateTokenRequest {
            name: "b".to_owned(),
            r#type: TokenType::Batch.into(),
            years_valid: 1,
            ..Default::default()
        })
        .await
        .expect_err("there is no store");
    assert!(server.terminate().success(), "{}", server.log());

    let spans = sink.spans();
    println!("{}", tree(&spans));
    let documented = documented();
    let mut exported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for span in &spans {
        exported.entry(row(span)).or_default().extend(span.attributes.keys().cloned());
        assert_eq!(span.failed(), span.attributes.contains_key("error.type"), "{}", span.span.name);
    }
    assert_eq!(exported, documented, "{}", tree(&spans));
    let operations: BTreeSet<&str> = spans
        .iter()
        .map(|span| span.attribute("db.operation.name"))
        .filter(|name| !name.is_empty())
        .collect();
    let text = std::fs::read_to_string(root().join("docs/operations.md")).expect("a file");
    assert_eq!(operations.len(), 5, "{operations:?}");
    for name in operations {
        assert!(text.contains(&format!("`{name}`")), "docs/operations.md lacks {name}");
    }
}
