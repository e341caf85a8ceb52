//! VerifyToken over Postgres: beside a bare tonic echo of the same messages, and with few and many rows.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use gatekey_e2e::{Client, Database, Server, Start, dev_token};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::echo::PeerProcess;
use crate::load::{Asked, Shape, verify};
use crate::table::{Line, median, print};

const EACH: Duration = Duration::from_secs(3);
pub(crate) const SHAPES: [Shape; 3] = [
    Shape { connections: 1, in_flight: 1 },
    Shape { connections: 1, in_flight: 16 },
    Shape { connections: 8, in_flight: 32 },
];
const FEW: i64 = 100_000;
/// How long the rows are read: fewer in all than the fewest rows.
const COLD: Duration = Duration::from_millis(500);
/// As many different tokens are verified in turn.
pub(crate) const VERIFIED: usize = 1_000;

/// A server over a database of its own with so many rows.
struct Filled {
    folder: TempDir,
    server: Server,
    hot: Arc<Asked>,
    cold: Arc<Asked>,
}

impl Filled {
    async fn with(rows: i64) -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = Database::new().await;
        database.migrate();
        fill(&database.url, rows).await;
        let start =
            Start::in_folder(folder.path()).args(["--dev", "--database-url", &database.url, "--log", "info"]);
        let server = start.start();
        let client = server.client(folder.path(), &["developer"], "acme");
        let values = create(&client, VERIFIED).await;
        let mut connection = PgConnection::connect(&database.url).await.expect("it connects");
        connection.execute("VACUUM ANALYZE token").await.expect("it runs");
        let (hot, cold) = (Arc::new(Asked::Values(values)), Arc::new(Asked::Rows(AtomicUsize::new(0))));
        Self { folder, server, hot, cold }
    }

    fn jwt(&self) -> String {
        dev_token(self.folder.path(), &[])
    }
}

pub(crate) async fn create(client: &Client, count: usize) -> Vec<String> {
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(client.create_batch("benchmark").await.1);
    }
    values
}

/// Rows of other tenants, with digests of nothing.
pub(crate) async fn fill(url: &str, rows: i64) {
    let mut connection = PgConnection::connect(url).await.expect("it connects");
    connection
        .execute(
            "INSERT INTO tenant (id, live_tokens) SELECT 'tenant ' || n, 0 FROM generate_series(0, 999) AS n",
        )
        .await
        .expect("tenants");
    sqlx::query(
        "INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time)
         SELECT 'tenant ' || n % 1000, 'filler', 'gk_b_00000000', 'batch', sha256(n::text::bytea), 'dev', 'dev',
                now(), now() + interval '1 year'
         FROM generate_series(1, $1) AS n",
    )
    .bind(rows)
    .execute(&mut connection)
    .await
    .expect("rows");
}

/// `pairs` of runs for each line.
pub(crate) async fn run(rows: i64, pairs: usize) {
    eprintln!("filling {FEW} and {rows} rows");
    let few = Filled::with(FEW).await;
    let many = Filled::with(rows).await;
    let echo = PeerProcess::bare();
    let (few_jwt, many_jwt) = (few.jwt(), many.jwt());
    let mut lines = Vec::new();
    for shape in SHAPES {
        let Shape { connections, in_flight } = shape;
        eprintln!("{connections} connections with {in_flight} calls in flight: {pairs} rounds");
        let (mut echoes, mut hot, mut of_few, mut of_many) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..pairs {
            echoes.push(verify(echo.address, &few_jwt, &few.hot, shape, EACH).await);
            hot.push(verify(few.server.grpc, &few_jwt, &few.hot, shape, EACH).await);
            of_few.push(verify(few.server.grpc, &few_jwt, &few.cold, shape, COLD).await);
            of_many.push(verify(many.server.grpc, &many_jwt, &many.cold, shape, COLD).await);
        }
        let ratios = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
        let beside_echo = ratios(&hot, &echoes);
        let flat = ratios(&of_few, &of_many);
        lines.push(Line {
            what: format!("VerifyToken from memory, {connections}×{in_flight}"),
            figure: format!("{:.0}/s", median(hot)),
            peer: format!("bare echo {:.0}/s", median(echoes)),
            ratio: Some(beside_echo),
            goal: "≥ 0.9",
            met: Some(beside_echo >= 0.9),
        });
        lines.push(Line {
            what: format!("VerifyToken, each from Postgres, {rows} rows, {connections}×{in_flight}"),
            figure: format!("{:.0}/s", median(of_many)),
            peer: format!("{FEW} rows {:.0}/s", median(of_few)),
            ratio: Some(flat),
            goal: "≤ 1.2 (flat)",
            met: Some(flat <= 1.2),
        });
    }
    print(&lines);
}
