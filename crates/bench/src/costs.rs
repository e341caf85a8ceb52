//! What an operator's choices cost a verification: traces, and a pooler between Gatekey and Postgres.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use gatekey_e2e::{Database, Server, Start, Way, dev_token};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::echo::PeerProcess;
use crate::load::{Asked, verify};
use crate::table::{Line, median, print};
use crate::verify::{SHAPES, VERIFIED, create, fill};

const HOT: Duration = Duration::from_secs(2);
/// How long the rows are read: fewer in all than there are.
const COLD: Duration = Duration::from_millis(500);
/// In which most of the spans that wait are sent.
const PAUSE: Duration = Duration::from_secs(1);
const ROWS: i64 = 300_000;

/// A server like the others but for one choice.
struct Choice {
    name: &'static str,
    server: Server,
}

/// `pairs` of runs for each line.
pub(crate) async fn run(pairs: usize) {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::new().await);
    database.migrate();
    eprintln!("filling {ROWS} rows");
    fill(&database.url, ROWS).await;
    let collector = PeerProcess::collector();
    let otlp = format!("http://{}", collector.address);
    let pooler = Way::BehindPooler.pooler(database.address()).expect("this way has one");
    let pooled_url = pooler.url(&database.url);
    let start = |flags: &[&str]| {
        Start::in_folder(folder.path()).args(["--dev", "--log", "info"]).args(flags.iter().copied()).start()
    };
    let plain = start(&["--database-url", &database.url]);
    let traced =
        |ratio| start(&["--database-url", &database.url, "--otlp-endpoint", &otlp, "--trace-ratio", ratio]);
    let traces = [
        Choice { name: "traces, none of its own", server: traced("0") },
        Choice { name: "traces, one in a hundred", server: traced("0.01") },
        Choice { name: "traces, all", server: traced("1") },
    ];
    let pooled = |name, way: Way| {
        let flags = way.flags(&pooled_url, &database.url);
        Choice { name, server: start(&flags.iter().map(String::as_str).collect::<Vec<_>>()) }
    };
    let poolers = [
        pooled("PgBouncer, transaction mode", Way::BehindPooler),
        pooled("PgBouncer, and past it what must not wait", Way::PastPooler),
    ];
    let client = plain.client(folder.path(), &["developer"], "acme");
    let hot = Arc::new(Asked::Values(create(&client, VERIFIED).await));
    let mut connection = PgConnection::connect(&database.url).await.expect("it connects");
    connection.execute("VACUUM ANALYZE token").await.expect("it runs");
    let jwt = dev_token(folder.path(), &[]);
    // Every server reads each row once at the most: after that it has it in memory.
    let rows: Vec<_> =
        servers(&plain, &poolers).map(|_| Arc::new(Asked::Rows(AtomicUsize::new(0)))).collect();

    let mut lines = Vec::new();
    for shape in SHAPES {
        let name = format!("{}×{}", shape.connections, shape.in_flight);
        eprintln!("{name}: {pairs} rounds");
        let mut from_memory = vec![Vec::new(); traces.len() + 1];
        let mut from_store = vec![Vec::new(); poolers.len() + 1];
        // Each time another one begins, and after a pause: what comes first finds Postgres' memory colder, and what comes
        // next may share the cores with spans that are still sent.
        for round in 0..pairs {
            for number in turn(round, from_memory.len()) {
                let server = servers(&plain, &traces).nth(number).expect("as many");
                from_memory[number].push(verify(server.grpc, &jwt, &hot, shape, HOT).await);
                tokio::time::sleep(PAUSE).await;
            }
            for number in turn(round, from_store.len()) {
                let server = servers(&plain, &poolers).nth(number).expect("as many");
                from_store[number].push(verify(server.grpc, &jwt, &rows[number], shape, COLD).await);
            }
        }
        lines.extend(compare(&format!("VerifyToken from memory, {name}"), &traces, &from_memory));
        lines.extend(compare(&format!("VerifyToken, each from Postgres, {name}"), &poolers, &from_store));
    }
    print(&lines);
}

/// All numbers below the count, from another one on each time.
fn turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| (number + round) % count)
}

/// The one without a choice, and the others.
fn servers<'a>(plain: &'a Server, choices: &'a [Choice]) -> impl Iterator<Item = &'a Server> {
    std::iter::once(plain).chain(choices.iter().map(|choice| &choice.server))
}

/// What was seen of each choice beside what was seen without: that comes first.
fn compare(what: &str, choices: &[Choice], seen: &[Vec<f64>]) -> Vec<Line> {
    let (without, with) = seen.split_first().expect("without a choice");
    let lines = choices.iter().zip(with).map(|(choice, with)| Line {
        what: format!("{what}: {}", choice.name),
        figure: format!("{:.0}/s", median(with.clone())),
        peer: format!("without {:.0}/s", median(without.clone())),
        ratio: Some(median(with.iter().zip(without).map(|(with, without)| with / without).collect())),
        goal: "a figure only",
        met: None,
    });
    lines.collect()
}
