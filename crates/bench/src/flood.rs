//! A flood of unknown, well-formed tokens at a protected service: what it does to good checks, timed in the service's own
//! process, and to its memory. The one who floods is a process of its own.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gatekey_e2e::{Start, dev_token};
use gatekey_interceptor::{Gatekey, Rule};
use gatekey_model::{TokenPrefix, TokenType, TokenValue};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use crate::table::{Line, print, quantile};

/// How many good tokens are checked in turn.
const GOOD: usize = 1_000;
/// How long good checks are timed without a flood, and how long it is measured how fast one can be.
const CALM: Duration = Duration::from_secs(5);
const MOST: u64 = 20_000;
const CALLERS: usize = 64;
/// Between two timed checks.
const PAUSE: Duration = Duration::from_micros(100);

pub(crate) async fn run(seconds: u64) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--log", "warn"]).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    let endpoint = format!("http://{}", server.grpc);
    let gatekey = Gatekey::builder([endpoint]).bearer(&jwt).connect().expect("good settings");
    gatekey.leased().await;
    let mut headers = Vec::new();
    for _ in 0..GOOD {
        let (_, value) = client.create_batch("benchmark").await;
        gatekey.verify(&value, Rule::Any).await.expect("good");
        let bearer = format!("Bearer {value}").parse().expect("ASCII");
        headers.push(http::HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(gatekey_examples::serve_grpc(listener, gatekey.clone(), async {
        stopped.await.ok();
    }));

    let saturation = flooding(address, 0, CALM.as_secs()).await / CALM.as_secs();
    let rate = (saturation / 4).min(MOST);
    eprintln!("{saturation} a second at the most; {rate} a second for {seconds} s");
    let calm = timed(&gatekey, &headers, |stop| {
        std::thread::sleep(CALM);
        stop.store(true, Ordering::SeqCst);
    });
    let before = resident();
    let asked = gatekey.stats();
    let sent = flooding(address, rate, seconds);
    let stop_timing = Arc::new(AtomicBool::new(false));
    let timing = {
        let (gatekey, headers, stop) = (gatekey.clone(), headers.clone(), Arc::clone(&stop_timing));
        tokio::task::spawn_blocking(move || time_until(&gatekey, &headers, &stop))
    };
    let sent = sent.await;
    stop_timing.store(true, Ordering::SeqCst);
    let flooded = timing.await.expect("no panic");
    let after = resident();
    let stats = gatekey.stats();
    let (p99_calm, p99) = (quantile(&calm, 0.99), quantile(&flooded, 0.99));
    let ratio = p99 / p99_calm;
    print(&[
        Line {
            what: format!("a good check's p99 under {} unknown tokens a second", sent / seconds),
            figure: format!("{p99:.0} ns"),
            peer: format!("without {p99_calm:.0} ns"),
            ratio: Some(ratio),
            goal: "≤ 2",
            met: Some(ratio <= 2.0),
        },
        Line {
            what: "the same, p50".to_owned(),
            figure: format!("{:.0} ns", quantile(&flooded, 0.5)),
            peer: format!("without {:.0} ns", quantile(&calm, 0.5)),
            ratio: Some(quantile(&flooded, 0.5) / quantile(&calm, 0.5)),
            goal: "a figure only",
            met: None,
        },
        Line {
            what: "resident memory of the service after the flood".to_owned(),
            figure: format!("{after:.1} MiB"),
            peer: format!("before {before:.1} MiB"),
            ratio: None,
            goal: "≤ 32 MiB more",
            met: Some(after - before <= 32.0),
        },
        Line {
            what: format!("of {sent} unknown tokens, verified by the server / over a limit"),
            figure: format!("{} / {}", stats.asked - asked.asked, stats.overloaded - asked.overloaded),
            peer: format!("saturation {saturation}/s"),
            ratio: None,
            goal: "a figure only",
            met: None,
        },
    ]);
    stop.send(()).ok();
    service.await.expect("no panic").expect("it serves");
}

fn timed(gatekey: &Gatekey, headers: &[http::HeaderMap], until: impl FnOnce(&AtomicBool) + Send) -> Vec<f64> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| until(&stop));
        time_until(gatekey, headers, &stop)
    })
}

/// The nanoseconds of each good check.
fn time_until(gatekey: &Gatekey, headers: &[http::HeaderMap], stop: &AtomicBool) -> Vec<f64> {
    let mut spans = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number = (number + 1) % headers.len();
        let started = Instant::now();
        let token = gatekey.check_cached(&headers[number], Rule::Any);
        let span = started.elapsed();
        // Without a lease for a moment it is no hit; that is told apart.
        if matches!(token, Ok(Some(_))) {
            spans.push(span.as_secs_f64() * 1e9);
        }
        std::thread::sleep(PAUSE);
    }
    spans
}

/// Has another process flood; how many tokens it sent.
async fn flooding(address: SocketAddr, rate: u64, seconds: u64) -> u64 {
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["flooding", "--address", &address.to_string(), "--rate", &rate.to_string()])
            .args(["--seconds", &seconds.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut text = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut text).expect("a number");
        assert!(child.wait().expect("it ends").success());
        text.trim().parse().expect("a number")
    })
    .await
    .expect("no panic")
}

/// Sends unknown tokens, and prints how many.
pub(crate) async fn flood(address: SocketAddr, rate: u64, seconds: u64) {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let channel = endpoint.clone().connect_lazy();
        callers.push(tokio::spawn(async move {
            let mut client = gatekey_examples::v1::batch_service_client::BatchServiceClient::new(channel);
            let started = Instant::now();
            let mut sent: u64 = 0;
            while Instant::now() < end {
                let number = sent * CALLERS as u64 + caller as u64;
                if let Some(due) = (number * 1_000_000).checked_div(rate) {
                    tokio::time::sleep_until((started + Duration::from_micros(due)).into()).await;
                }
                let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random");
                let mut request = Request::new(gatekey_examples::v1::DescribeRequest {});
                let bearer = format!("Bearer {}", value.expose()).parse().expect("ASCII");
                request.metadata_mut().insert("authorization", bearer);
                let code = client.describe(request).await.expect_err("nobody knows it").code();
                assert!(matches!(code, Code::Unauthenticated | Code::Unavailable), "{code:?}");
                sent += 1;
            }
            sent
        }));
    }
    let mut sent = 0;
    for caller in callers {
        sent += caller.await.expect("no caller panics");
    }
    println!("{sent}");
}

/// In MiB, of this process.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1_024.0
}
