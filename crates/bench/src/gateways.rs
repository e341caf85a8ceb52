//! Envoy that asks Gatekey about every request, beside Envoy with its own static API keys and with its own check of JWTs, and
//! beside Envoy that lets everybody in: throughput and p99, interleaved. Takes `envoy` and `wrk` from the path.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gatekey_e2e::{Start, TestIssuer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::table::{Line, median, print};

/// Of the throughput of Envoy's `api_key_auth`.
const GOAL: f64 = 0.6;
const CONNECTIONS: [u32; 2] = [16, 64];
const API_KEY: &str = "a-static-key-of-this-benchmark";
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// What stands in front of the upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    None,
    ApiKey,
    Jwt,
    Gatekey,
}

const FILTERS: [Filter; 4] = [Filter::None, Filter::ApiKey, Filter::Jwt, Filter::Gatekey];

/// What one run says.
#[derive(Clone, Copy)]
struct Run {
    a_second: f64,
    p99_ms: f64,
}

/// Killed when it is dropped.
struct Envoy(Child);

impl Drop for Envoy {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Filter {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::ApiKey => "api_key_auth",
            Self::Jwt => "jwt_authn",
            Self::Gatekey => "ext_authz",
        }
    }

    fn config(self, jwks: &str) -> Option<Value> {
        let filter = |name: &str, typed_config: Value| {
            Some(json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": typed_config }))
        };
        match self {
            Self::None => None,
            Self::ApiKey => filter(
                "api_key_auth",
                json!({
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
                    "credentials": [{ "key": API_KEY, "client": "benchmark" }],
                    "key_sources": [{ "header": "authorization" }],
                }),
            ),
            Self::Jwt => filter(
                "jwt_authn",
                json!({
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                    "providers": { "issuer": {
                        "issuer": "https://login.example.com", "audiences": ["gatekey"],
                        "local_jwks": { "inline_string": jwks },
                    } },
                    "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
                }),
            ),
            // As in deploy/envoy.
            Self::Gatekey => filter(
                "ext_authz",
                json!({
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                    "transport_api_version": "V3",
                    "grpc_service": { "envoy_grpc": { "cluster_name": "gatekey" }, "timeout": "1s" },
                    "allowed_headers": { "patterns": [
                        { "exact": "authorization" }, { "exact": "content-type" }, { "prefix": "x-gatekey-" },
                    ] },
                    "status_on_error": { "code": "ServiceUnavailable" },
                }),
            ),
        }
    }
}

fn listener(filter: Filter, port: u16, jwks: &str) -> Value {
    let router = json!({ "name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } });
    let mut filters: Vec<Value> = filter.config(jwks).into_iter().collect();
    filters.push(router);
    let mut route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } });
    if filter == Filter::Gatekey {
        route["typed_per_filter_config"] = json!({ "envoy.filters.http.ext_authz": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": { "context_extensions": { "type": "batch" } },
        } });
    }
    json!({
        "name": filter.name(),
        "address": socket(port),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": filter.name(),
                "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
                "http_filters": filters,
            },
        }] }],
    })
}

fn socket(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn cluster(name: &str, port: u16, http2: bool) -> Value {
    let mut cluster = json!({
        "name": name, "type": "STATIC",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": socket(port) } },
        ] }] },
    });
    if http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    cluster
}

/// Ports that nobody has. They are free again before Envoy takes them, as it can't be given sockets.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

async fn start_envoy(folder: &Path, config: &Value, port: u16, log: &Path) -> Envoy {
    let file = folder.join("envoy.json");
    std::fs::write(&file, config.to_string()).expect("written");
    let log = std::fs::File::create(log).expect("a log");
    let child = Command::new("envoy")
        .args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warn", "--config-path"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("envoy is on the path");
    let envoy = Envoy(child);
    let begin = Instant::now();
    // It says nowhere when it listens.
    while reqwest::get(format!("http://127.0.0.1:{port}/")).await.is_err() {
        assert!(begin.elapsed() < STARTS_WITHIN, "envoy does not listen; look into its log");
        sleep(Duration::from_millis(50)).await;
    }
    envoy
}

/// The load of `wrk`: its throughput and its p99.
fn load(port: u16, credential: &str, connections: u32, seconds: u64) -> Run {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--latency", "--duration", &format!("{seconds}s")])
        .args(["--connections", &connections.to_string()])
        .args(["--header", &format!("authorization: Bearer {credential}")])
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .expect("wrk is on the path");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{said}"
    );
    let after = |label: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(label)).expect("wrk says so");
        line.trim().to_owned()
    };
    Run { a_second: after("Requests/sec:").parse().expect("a number"), p99_ms: milliseconds(&after("99%")) }
}

/// As wrk writes times: `912.00us`, `1.23ms`, `1.02s`.
fn milliseconds(text: &str) -> f64 {
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.trim_end_matches('s'), 1_000.0)
    };
    number.parse::<f64>().expect("a number") * factor
}

/// A plain service behind all of them.
async fn upstream() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let service = axum::Router::new().fallback(async || "hello");
    tokio::spawn(async move { axum::serve(listener, service).await });
    port
}

/// `rounds` of runs of so many seconds, each round with every filter.
pub(crate) async fn run(seconds: u64, rounds: usize) {
    let folder = TempDir::new().expect("a folder");
    let server =
        Start::in_folder(folder.path()).args(["--log", "warn", "--gateway-peer", "127.0.0.1"]).start();
    let (_, token) = server.client(folder.path(), &["developer"], "acme").create_batch("benchmark").await;
    let issuer = TestIssuer::new("https://login.example.com");
    let jwt = issuer.sign(&issuer.claims("benchmark", &[], None));
    let ports = free_ports();
    let listeners: Vec<Value> =
        FILTERS.iter().zip(ports).map(|(filter, port)| listener(*filter, port, &issuer.jwks())).collect();
    let clusters =
        [cluster("upstream", upstream().await, false), cluster("gatekey", server.grpc.port(), true)];
    let config = json!({ "static_resources": { "listeners": listeners, "clusters": clusters } });
    let log = folder.path().join("envoy.log");
    let _envoy = start_envoy(folder.path(), &config, ports[0], &log).await;

    let credential = |filter: Filter| match filter {
        Filter::ApiKey => API_KEY,
        Filter::Jwt => &jwt,
        Filter::None | Filter::Gatekey => &token,
    };
    let mut lines = Vec::new();
    for connections in CONNECTIONS {
        let mut runs: [Vec<Run>; 4] = [const { Vec::new() }; 4];
        // One that warms everything up and does not count.
        for round in 0..=rounds {
            eprintln!("{connections} connections, round {round} of {rounds}: {seconds} s for each of four");
            for ((filter, port), runs) in FILTERS.into_iter().zip(ports).zip(&mut runs) {
                let run = load(port, credential(filter), connections, seconds);
                if round > 0 {
                    runs.push(run);
                }
            }
        }
        lines.extend(compared(connections, &runs));
    }
    print(&lines);
}

/// Gatekey beside each of the others.
fn compared(connections: u32, runs: &[Vec<Run>; 4]) -> Vec<Line> {
    let [others @ .., gatekey] = runs;
    let show = |runs: &[Run]| {
        let rate = median(runs.iter().map(|run| run.a_second).collect());
        let p99 = median(runs.iter().map(|run| run.p99_ms).collect());
        format!("{rate:.0}/s, p99 {p99:.1} ms")
    };
    let line = |(filter, other): (Filter, &Vec<Run>)| {
        let pairs = gatekey.iter().zip(other);
        let ratio = median(pairs.map(|(gatekey, other)| gatekey.a_second / other.a_second).collect());
        let has_goal = filter == Filter::ApiKey;
        Line {
            what: format!("Envoy with ext_authz to Gatekey, {connections} connections"),
            figure: show(gatekey),
            peer: format!("{}: {}", filter.name(), show(other)),
            ratio: Some(ratio),
            goal: if has_goal { "≥ 0.6" } else { "" },
            met: has_goal.then_some(ratio >= GOAL),
        }
    };
    FILTERS.into_iter().zip(others).map(line).collect()
}
