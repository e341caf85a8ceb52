//! The figures for Prometheus: what is counted, under which names, and that nothing of any tenant is among it. `scripts/telemetry`
//! has Prometheus itself look at them.

use std::collections::HashMap;

use futures_util::StreamExt;
use gatekey_e2e::{Cluster, Start};
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::{self, Verdict};
use tempfile::TempDir;

/// The figures by name and labels, as they are written.
async fn scrape(server: &gatekey_e2e::Server) -> HashMap<String, f64> {
    let address = server.metrics.expect("it serves figures");
    let answer = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.expect("text");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let figure = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(figure).collect()
}

fn call(name: &str, method: &str, rest: &str) -> String {
    format!(
        "{name}{{grpc_type=\"unary\",grpc_service=\"gatekey.v1.TokenService\",grpc_method=\"{method}\"{rest}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_tenants_are_not_named() {
    let folder = TempDir::new().expect("a folder");
    let start = Start::in_folder(folder.path()).args([
        "--metrics-addr",
        "127.0.0.1:0",
        "--gateway-peer",
        "127.0.0.1",
    ]);
    let server = start.start();
    let client = server.client(folder.path(), &["developer", "verifier"], "a-tenant");
    let (token, value) = client.create_batch("a-name").await;
    assert_eq!(client.verdict(&value).await, Verdict::Active);
    assert_eq!(client.verdict(&value).await, Verdict::Active);
    let ask = async |value: &str| {
        let url = format!("http://{}/forward-auth?type=batch", server.http);
        let request = reqwest::Client::new().get(url).header("authorization", format!("Bearer {value}"));
        let request = request.header("x-original-uri", "/a");
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(ask(&value).await, 200);
    client.delete(token.id).await.expect("deleted");
    assert_eq!(ask(&value).await, 401);
    server.stranger().delete(token.id).await.expect_err("refused");
    // A stranger's text is no label.
    let odd = reqwest::get(format!("http://{}/{value}", server.http)).await.expect("an answer");
    assert_eq!(odd.status().as_u16(), 404);

    let figures = scrape(&server).await;
    let is = |name: &str, count: f64| assert_eq!(figures.get(name), Some(&count), "{name}");
    is(&call("grpc_server_started_total", "DeleteToken", ""), 2.0);
    is(&call("grpc_server_handled_total", "DeleteToken", ",grpc_code=\"OK\""), 1.0);
    is(&call("grpc_server_handled_total", "DeleteToken", ",grpc_code=\"Unauthenticated\""), 1.0);
    is(&call("grpc_server_handled_total", "VerifyToken", ",grpc_code=\"OK\""), 2.0);
    is(&call("grpc_server_handling_seconds_count", "DeleteToken", ""), 2.0);
    is("gatekey_deletes_total{path=\"confirmed\"}", 1.0);
    is("gatekey_gateway_decisions_total{asker=\"forward_auth\",decision=\"allowed\"}", 1.0);
    is("gatekey_gateway_decisions_total{asker=\"forward_auth\",decision=\"API_TOKEN_INVALID\"}", 1.0);
    is("gatekey_ready", 1.0);
    is("gatekey_log_applied", 1.0);
    is("gatekey_log_behind", 0.0);
    assert!(figures["gatekey_lease_left_seconds"] > 0.0);
    assert!(figures["gatekey_lookups_total{source=\"memory\"}"] >= 1.0);
    assert!(figures["process_resident_memory_bytes"] > 1e6);
    let odd = "http_route=\"(unknown)\",http_response_status_code=\"404\"}";
    assert!(figures.keys().any(|name| name.ends_with(odd)), "{figures:?}");
    for name in figures.keys() {
        for secret in ["a-tenant", "a-name", token.key.as_str(), value.as_str()] {
            assert!(!name.contains(secret), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_counted_when_it_ends() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--metrics-addr", "127.0.0.1:0"]).start();
    let client = server.client(folder.path(), &["verifier"], "acme");
    let labels =
        "grpc_type=\"bidi_stream\",grpc_service=\"gatekey.v1.RevocationService\",grpc_method=\"Watch\"";
    let started = format!("grpc_server_started_total{{{labels}}}");
    let handled = |code: &str| format!("grpc_server_handled_total{{{labels},grpc_code=\"{code}\"}}");
    let hello = v1::Hello { holder: vec![7; 16], ..v1::Hello::default() };
    let hello = v1::WatchRequest { event: Some(v1::watch_request::Event::Hello(hello)) };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let rest = futures_util::stream::once(ended).filter_map(async |_| None);
    let sent = futures_util::stream::once(async { hello }).chain(rest);
    let answer = RevocationServiceClient::new(client.channel()).watch(client.request(sent)).await;
    let mut said = answer.expect("a stream").into_inner();
    said.message().await.expect("no error").expect("it is greeted");
    let figures = scrape(&server).await;
    assert!(figures[&started] > 0.5 && figures[&handled("OK")] < 0.5, "it goes on");
    drop(end);
    while said.message().await.expect("no error").is_some() {}
    let counted = async { while scrape(&server).await[&handled("OK")] < 0.5 {} };
    tokio::time::timeout(gatekey_e2e::ROOMY, counted).await.expect("it is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_and_an_outage_are_seen() {
    let folder = TempDir::new().expect("a folder");
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    let server = Start::in_folder(folder.path())
        .args(["--dev", "--database-url", &database.url, "--lease", "2", "--metrics-addr", "127.0.0.1:0"])
        .start();
    // Connections are made when they are needed first.
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let (_, value) = client.create_batch("first").await;
    client.verdict(&value).await;
    let figures = scrape(&server).await;
    for pool in ["verify", "other"] {
        let connections = ["idle", "used"]
            .map(|state| figures[&format!("gatekey_store_connections{{pool=\"{pool}\",state=\"{state}\"}}")]);
        assert!(connections.iter().sum::<f64>() >= 1.0, "{pool}: {connections:?}");
    }
    assert!((figures["gatekey_ready"] - 1.0).abs() < f64::EPSILON);
    let synchronous = async {
        loop {
            if let Some(figure) = scrape(&server).await.get("gatekey_store_synchronous") {
                return *figure;
            }
        }
    };
    let synchronous = tokio::time::timeout(gatekey_e2e::ROOMY, synchronous).await.expect("it is read");
    assert!(synchronous.abs() < f64::EPSILON, "no standby is waited for: {synchronous}");
    cluster.stop();
    let out = async {
        loop {
            let figures = scrape(&server).await;
            if figures["gatekey_ready"] == 0.0 && figures["gatekey_lease_left_seconds"] == 0.0 {
                return;
            }
        }
    };
    tokio::time::timeout(gatekey_e2e::ROOMY, out).await.expect("it is seen");
}

#[test]
fn without_an_address_nothing_is_served() {
    let folder = TempDir::new().expect("a folder");
    assert_eq!(Start::in_folder(folder.path()).start().metrics, None);
    let taken =
        Start::in_folder(folder.path()).args(["--http-addr", "127.0.0.1:1", "--metrics-addr", "127.0.0.1:1"]);
    let said = String::from_utf8(taken.refused().stderr).expect("text");
    assert!(said.contains("--metrics-addr: 127.0.0.1:1 is --http-addr already"), "{said}");
}
