//! DeleteToken with three replicas on Postgres and so many holders, each delete beside a bare commit on the same server.

use std::time::Instant;

use gatekey_e2e::{Client, Database, HolderStart, Server, Start, TestHolder};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::table::{Line, median, print, quantile};

const REPLICAS: usize = 3;
const HOLDERS: [usize; 3] = [1, 10, 100];
/// How many holders have the token in their cache when it is deleted.
const CACHED: usize = 3;
const LEASE: &str = "10";

struct Fleet {
    folder: TempDir,
    servers: Vec<Server>,
    clients: Vec<Client>,
    jwt: String,
}

impl Fleet {
    fn start(database: &Database) -> Self {
        let folder = TempDir::new().expect("a folder");
        let start = Start::in_folder(folder.path()).args([
            "--dev",
            "--database-url",
            &database.url,
            "--lease",
            LEASE,
            "--log",
            "warn",
        ]);
        let servers: Vec<Server> = (0..REPLICAS).map(|_| start.start()).collect();
        let client = |server: &Server| server.client(folder.path(), &["developer", "verifier"], "acme");
        let clients = servers.iter().map(client).collect();
        let jwt = gatekey_e2e::dev_token(folder.path(), &["--tenant", "acme", "--role", "verifier"]);
        Self { folder, servers, clients, jwt }
    }

    async fn holders(&self, count: usize) -> Vec<TestHolder> {
        let endpoints: Vec<_> = self.servers.iter().map(|server| server.grpc).collect();
        let start = HolderStart { endpoints, jwt: self.jwt.clone() };
        let holders: Vec<TestHolder> = (0..count).map(|_| start.start()).collect();
        for holder in &holders {
            holder.gatekey().leased().await;
        }
        holders
    }
}

async fn bare_commit(connection: &mut PgConnection) -> f64 {
    let started = Instant::now();
    sqlx::query("UPDATE bare SET n = n + 1").execute(connection).await.expect("it commits");
    started.elapsed().as_secs_f64() * 1_000.0
}

pub(crate) async fn run(count: usize) {
    let database = Database::new().await;
    database.migrate();
    let mut connection = PgConnection::connect(&database.url).await.expect("it connects");
    sqlx::query("CREATE TABLE bare (n bigint)").execute(&mut connection).await.expect("a table");
    sqlx::query("INSERT INTO bare VALUES (0)").execute(&mut connection).await.expect("a row");
    let fleet = Fleet::start(&database);
    let mut lines = Vec::new();
    for wanted in HOLDERS {
        eprintln!("{wanted} holders, {count} deletes");
        let mut holders = fleet.holders(wanted).await;
        let (mut deletes, mut commits) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (token, value) = fleet.clients[0].create_batch("benchmark").await;
            for holder in holders.iter().take(CACHED) {
                holder.check(&value).await;
            }
            commits.push(bare_commit(&mut connection).await);
            let started = Instant::now();
            let receipt = fleet.clients[number % REPLICAS].delete(token.id).await.expect("a receipt");
            deletes.push(started.elapsed().as_secs_f64() * 1_000.0);
            assert_eq!(receipt.leases_waited_out, 0, "everyone is connected: {receipt:?}");
        }
        let commit = median(commits.clone());
        let (p50, p99) = (quantile(&deletes, 0.5), quantile(&deletes, 0.99));
        lines.push(Line {
            what: format!("DeleteToken, 3 replicas, {wanted} holders, p50"),
            figure: format!("{p50:.1} ms"),
            peer: format!("bare commit p50 {commit:.1} ms"),
            ratio: Some(p50 / commit),
            goal: "≤ 10",
            met: Some(p50 / commit <= 10.0),
        });
        lines.push(Line {
            what: "the same, p99".to_owned(),
            figure: format!("{p99:.1} ms"),
            peer: format!("bare commit p99 {:.1} ms", quantile(&commits, 0.99)),
            ratio: Some(p99 / quantile(&commits, 0.99)),
            goal: "≤ 50 ms",
            met: Some(p99 <= 50.0),
        });
        if wanted == 100 {
            lines.push(with_one_killed(&fleet, &mut holders).await);
        }
        for holder in &mut holders {
            holder.release().await;
        }
    }
    print(&lines);
    drop(fleet.folder);
}

/// A holder is gone without a word, and the first delete after that waits for its lease.
async fn with_one_killed(fleet: &Fleet, holders: &mut Vec<TestHolder>) -> Line {
    let (token, value) = fleet.clients[0].create_batch("benchmark").await;
    let killed = holders.pop().expect("a holder");
    killed.check(&value).await;
    drop(killed);
    let started = Instant::now();
    let receipt = fleet.clients[1].delete(token.id).await.expect("a receipt");
    let seconds = started.elapsed().as_secs_f64();
    assert!(receipt.leases_waited_out >= 1, "{receipt:?}");
    Line {
        what: "DeleteToken with one of 100 holders killed just before, lease 10 s".to_owned(),
        figure: format!("{seconds:.1} s"),
        peer: "1.25 × lease + 1 s = 13.5 s".to_owned(),
        ratio: Some(seconds / 13.5),
        goal: "≤ 1",
        met: Some(seconds <= 13.5),
    }
}
