//! How fast the server starts and how much memory it takes when idle, on SQLite.

use std::time::{Duration, Instant};

use gatekey_e2e::Start;
use gatekey_proto::health::HealthCheckRequest;
use tempfile::TempDir;

use crate::table::{Line, median, print};

pub(crate) async fn run() {
    let folder = TempDir::new().expect("a folder");
    let start = Start::in_folder(folder.path());
    start.start().terminate();
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..11 {
        let started = Instant::now();
        let mut server = start.start();
        let mut health = server.stranger().health();
        health.check(HealthCheckRequest::default()).await.expect("SERVING");
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 KiB")]
        memory.push(server.resident_kib() as f64 / 1_024.0);
        server.terminate();
    }
    let (time, memory) = (median(times), median(memory));
    print(&[
        Line {
            what: "process start to SERVING over gRPC, SQLite, an existing folder".to_owned(),
            figure: format!("{time:.1} ms"),
            peer: String::new(),
            ratio: None,
            goal: "≤ 100 ms",
            met: Some(time <= 100.0),
        },
        Line {
            what: "resident memory, idle after 1 s".to_owned(),
            figure: format!("{memory:.1} MiB"),
            peer: String::new(),
            ratio: None,
            goal: "≤ 25 MiB",
            met: Some(memory <= 25.0),
        },
    ]);
}
