//! The server is killed (SIGKILL) under load, again and again: nothing that it acknowledged is lost.
//! This shows crashes of the process, not of the machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatekey_e2e::{Client, Database, Server, Start};
use gatekey_proto::v1::{CreateTokenRequest, TokenType, Verdict};
use tempfile::TempDir;
use tokio::sync::Notify;

const ROUNDS: usize = 20;
const CREATORS: u32 = 16;
/// Short, since a delete after a kill waits for the leases of the process before.
const LEASE: [&str; 2] = ["--lease", "2"];
/// The kill comes after so many acknowledged creates, more in each round.
const FIRST_KILL_AFTER: usize = 10;

/// What the server acknowledged: token value → whether it was deleted (none: unknown, the call was cut off).
type Acknowledged = HashMap<String, Option<bool>>;

async fn create_until_cut_off(client: Client, count: Arc<AtomicUsize>, news: Arc<Notify>) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    loop {
        let request = CreateTokenRequest {
            name: "under load".to_owned(),
            r#type: TokenType::Batch.into(),
            years_valid: 1,
            request_id: String::new(),
        };
        let Ok(created) = client.create(request).await else { return acknowledged };
        acknowledged.insert(created.token_value.clone(), Some(false));
        let number = count.fetch_add(1, Ordering::Relaxed);
        news.notify_one();
        if number.is_multiple_of(4) {
            let deleted = client.delete(created.token.expect("a token").id).await.is_ok();
            acknowledged.insert(created.token_value, deleted.then_some(true));
            if !deleted {
                return acknowledged;
            }
        }
    }
}

async fn round(mut server: Server, client: &Client, kill_after: usize) -> Acknowledged {
    let count = Arc::new(AtomicUsize::new(0));
    let news = Arc::new(Notify::new());
    let creators: Vec<_> = (0..CREATORS)
        .map(|_| tokio::spawn(create_until_cut_off(client.clone(), Arc::clone(&count), Arc::clone(&news))))
        .collect();
    while count.load(Ordering::Relaxed) < kill_after {
        news.notified().await;
    }
    server.kill();
    let mut acknowledged = Acknowledged::new();
    for creator in creators {
        acknowledged.extend(creator.await.expect("no creator panics"));
    }
    acknowledged
}

async fn nothing_acknowledged_is_lost(folder: &TempDir, start: Start) {
    let start = start.args(["--tokens-per-tenant", "1000000"]);
    let mut acknowledged = Acknowledged::new();
    for number in 0..ROUNDS {
        let server = start.start();
        let client = server.client(folder.path(), &["developer"], "acme");
        acknowledged.extend(round(server, &client, FIRST_KILL_AFTER + 5 * number).await);
    }
    let server = start.start();
    let client = server.client(folder.path(), &["verifier"], "acme");
    let (mut lost, mut revived) = (0, 0);
    for (value, deleted) in &acknowledged {
        match (client.verdict(value).await, deleted) {
            (Verdict::Active, Some(true)) => revived += 1,
            (Verdict::Active, _) | (Verdict::Revoked, None | Some(true)) => {}
            _ => lost += 1,
        }
    }
    println!(
        "{} creates acknowledged in {ROUNDS} rounds, {lost} lost, {revived} deletes undone",
        acknowledged.len()
    );
    assert_eq!((lost, revived), (0, 0));
    assert!(acknowledged.len() >= ROUNDS * FIRST_KILL_AFTER);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_what_it_acknowledged() {
    let folder = TempDir::new().expect("a folder");
    let start = Start::in_folder(folder.path()).args(LEASE);
    nothing_acknowledged_is_lost(&folder, start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_it_acknowledged() {
    let folder = TempDir::new().expect("a folder");
    let database = Database::new().await;
    database.migrate();
    let start = Start::in_folder(folder.path()).args(LEASE).args(["--dev", "--database-url", &database.url]);
    nothing_acknowledged_is_lost(&folder, start).await;
}
