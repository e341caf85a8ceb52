//! Traces: one request through a service, Gatekey and its store is one trace; its sender decides whether it is sent; and a collector
//! that is away costs nobody anything. What is in spans, and what never is: `traces_contents.rs`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use gatekey_e2e::{Client, Exported, OtlpSink, Server, Start, dev_token, hex, logs, transcribe_http, tree};
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{Verdict, VerifyTokenRequest};
use tempfile::TempDir;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "00f067aa0ba902b7";
const VERIFY: &str = "gatekey.v1.TokenService/VerifyToken";

fn of_trace<'a>(spans: &'a [Exported], trace: &str) -> Vec<&'a Exported> {
    spans.iter().filter(|exported| hex(&exported.span.trace_id) == trace).collect()
}

fn traced(folder: &TempDir, sink: &OtlpSink, ratio: &str) -> Start {
    Start::in_folder(folder.path())
        .args(["--otlp-endpoint", &sink.url(), "--trace-ratio", ratio])
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
}

/// Verifies a value, saying this of the trace.
async fn verify(client: &Client, value: &str, traceparent: &[&str]) {
    let credential = Some(Credential::TokenValue(value.to_owned()));
    let mut request = client.request(VerifyTokenRequest { credential, ..Default::default() });
    for said in traceparent {
        request.metadata_mut().append("traceparent", said.parse().expect("ASCII"));
    }
    let answer = TokenServiceClient::new(client.channel()).verify_token(request).await.expect("an answer");
    assert_eq!(answer.into_inner().verdict(), Verdict::Active);
}

/// A service over HTTP behind the interceptor, as a process. Killed when dropped.
struct Service(Child);

impl Service {
    fn start(server: &Server, sink: &OtlpSink, folder: &TempDir) -> (Self, String) {
        let log = logs().join(format!("transcribe-http-{}.log", std::process::id()));
        let mut child = Command::new(transcribe_http())
            .args(["--addr", "127.0.0.1:0", "--gatekey", &format!("http://{}", server.grpc)])
            .args(["--otlp-endpoint", &sink.url()])
            .env("GATEKEY_JWT", dev_token(folder.path(), &["--role", "verifier"]))
            .env("OTEL_BSP_SCHEDULE_DELAY", "20")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).expect("the log folder is writable"))
            .spawn()
            .expect("the service's binary can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("a line");
        let base = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        (Self(child), base)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_through_service_server_and_store_is_one_trace() {
    let folder = TempDir::new().expect("a folder");
    let sink = OtlpSink::start().await;
    // Of its own accord the server would send none.
    let server = traced(&folder, &sink, "0").start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let (token, value) = client.create_batch("one trace").await;
    let (_service, base) = Service::start(&server, &sink, &folder);
    let ask = async |trace: &str| {
        let request = reqwest::Client::new()
            .get(format!("{base}/v1/batch/caller"))
            .header("authorization", format!("Bearer {value}"))
            .header("traceparent", format!("00-{trace}-{SENDER}-01"))
            .header("tracestate", "vendor=opaque");
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), 200);
    };
    ask(TRACE).await;
    let spans = sink.until(|spans| of_trace(spans, TRACE).len() == 4).await;
    println!("{}", tree(&spans));
    let chain = [
        ("GET /v1/batch/caller", "transcribe", "server"),
        (VERIFY, "transcribe", "client"),
        (VERIFY, "gatekey", "server"),
        ("find_by_digest main", "gatekey", "client"),
    ];
    let mut parent = SENDER.to_owned();
    for (name, service, kind) in chain {
        let is_it = |exported: &&&Exported| {
            (exported.span.name.as_str(), exported.service(), exported.kind()) == (name, service, kind)
        };
        let all = of_trace(&spans, TRACE);
        let found = all.iter().find(is_it).unwrap_or_else(|| panic!("{name}\n{}", tree(&spans)));
        assert_eq!(hex(&found.span.parent_span_id), parent, "{name}\n{}", tree(&spans));
        assert_eq!(found.span.trace_state, "vendor=opaque", "{name}");
        assert!(!found.failed(), "{name}");
        assert!(found.span.end_time_unix_nano >= found.span.start_time_unix_nano, "{name}");
        parent = hex(&found.span.span_id);
    }
    let request = of_trace(&spans, TRACE).into_iter().find(|exported| exported.kind() == "server");
    let request = request.expect("found above");
    if request.service() == "transcribe" {
        assert_eq!(request.attribute("gatekey.token.id"), token.id.to_string());
    }
    let asked = of_trace(&spans, TRACE);
    let asked = asked.iter().find(|exported| exported.span.name == VERIFY && exported.kind() == "client");
    let asked = asked.expect("found above");
    let guide = std::fs::read_to_string(gatekey_e2e::root().join("docs/interceptor.md")).expect("a file");
    for name in asked.attributes.keys().filter(|name| *name != "error.type") {
        assert!(guide.contains(&format!("`{name}`")), "docs/interceptor.md lacks {name}");
    }
    assert_eq!(
        (asked.attribute("rpc.response.status_code"), asked.attribute("server.address")),
        ("OK", "127.0.0.1")
    );

    // From memory: nobody is asked, and the request's span says whose it is.
    ask(OTHER_TRACE).await;
    let spans = sink.until(|spans| !of_trace(spans, OTHER_TRACE).is_empty()).await;
    let [hit] = of_trace(&spans, OTHER_TRACE)[..] else { panic!("{}", tree(&spans)) };
    assert_eq!(
        (hit.attribute("gatekey.token.id"), hit.attribute("gatekey.token.type")),
        (token.id.to_string().as_str(), "batch")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_began_a_trace_decides_whether_it_is_sent() {
    for ratio in ["0", "1"] {
        let folder = TempDir::new().expect("a folder");
        let sink = OtlpSink::start().await;
        let mut server = traced(&folder, &sink, ratio).start();
        let client = server.client(folder.path(), &["developer", "verifier"], "acme");
        let (_, value) = client.create_batch("sampled").await;
        let made = usize::from(ratio == "1");
        verify(&client, &value, &[&format!("00-{TRACE}-{SENDER}-01")]).await;
        verify(&client, &value, &[&format!("00-{OTHER_TRACE}-{SENDER}-00")]).await;
        // Not those of anybody: new traces begin.
        let garbage = [
            "garbage".to_owned(),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("ff-{TRACE}-{SENDER}-01"),
            format!("00-{}-{SENDER}-01", "0".repeat(32)),
            format!("00-{}-{SENDER}-01", TRACE.to_uppercase()),
        ];
        for said in &garbage {
            verify(&client, &value, &[said]).await;
        }
        let two = [format!("00-{TRACE}-{SENDER}-01"), format!("00-{OTHER_TRACE}-{SENDER}-01")];
        verify(&client, &value, &[&two[0], &two[1]]).await;
        verify(&client, &value, &[]).await;
        assert!(server.terminate().success(), "{}", server.log());
        let spans = sink.spans();
        let verified: Vec<_> = spans.iter().filter(|exported| exported.span.name == VERIFY).collect();
        assert_eq!(of_trace(&spans, OTHER_TRACE).len(), 0, "{ratio}\n{}", tree(&spans));
        let continued: Vec<_> =
            verified.iter().filter(|exported| hex(&exported.span.trace_id) == TRACE).collect();
        assert_eq!(continued.len(), 1, "{ratio}\n{}", tree(&spans));
        assert_eq!(hex(&continued[0].span.parent_span_id), SENDER);
        let begun = verified.iter().filter(|exported| exported.span.parent_span_id.is_empty()).count();
        assert_eq!(begun, made * (garbage.len() + 2), "{ratio}\n{}", tree(&spans));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_silent_costs_no_call() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("http://{}", silent.local_addr().expect("bound"));
    // Bound, so that nobody else takes it, and never listened on: whoever connects is refused.
    let away = tokio::net::TcpSocket::new_v4().expect("a socket");
    away.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let away_url = format!("http://{}", away.local_addr().expect("bound"));
    for endpoint in [silent, away_url] {
        let folder = TempDir::new().expect("a folder");
        let mut server = Start::in_folder(folder.path())
            .args(["--otlp-endpoint", &endpoint, "--trace-ratio", "1", "--metrics-addr", "127.0.0.1:0"])
            .env("OTEL_BSP_SCHEDULE_DELAY", "1")
            .env("OTEL_BSP_MAX_QUEUE_SIZE", "8")
            .start();
        let client = server.client(folder.path(), &["developer", "verifier"], "acme");
        let (token, value) = client.create_batch("unseen").await;
        let lost = async || {
            let url = format!("http://{}/metrics", server.metrics.expect("it serves figures"));
            let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
            let of = |line: &str| line.rsplit_once(' ').and_then(|(_, count)| count.parse::<f64>().ok());
            let lines = text.lines().filter(|line| line.starts_with("gatekey_trace_spans_total"));
            assert!(!text.contains("outcome=\"sent\""), "{text}");
            lines.filter_map(of).sum::<f64>()
        };
        // More than there is room for.
        let counted = async {
            while lost().await < 20.0 {
                verify(&client, &value, &[]).await;
            }
        };
        tokio::time::timeout(gatekey_e2e::ROOMY, counted).await.expect("they are counted");
        client.delete(token.id).await.expect("deleted");
        assert!(server.terminate().success(), "{}", server.log());
        let log = server.log();
        assert!(log.matches("spans are lost").count() <= 2, "{log}");
        assert!(
            log.contains("spans are lost") || log.contains("the last spans are not known to be sent"),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_nothing_is_sent() {
    let folder = TempDir::new().expect("a folder");
    let sink = OtlpSink::start().await;
    let mut server = Start::in_folder(folder.path())
        .args(["--log-format", "json"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url())
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let (_, value) = client.create_batch("untraced").await;
    verify(&client, &value, &[&format!("00-{TRACE}-{SENDER}-01")]).await;
    assert!(server.terminate().success());
    assert!(sink.spans().is_empty(), "{}", tree(&sink.spans()));
    let log = server.log();
    assert!(log.contains("token created") && !log.contains("trace_id") && !log.contains(TRACE), "{log}");
}
