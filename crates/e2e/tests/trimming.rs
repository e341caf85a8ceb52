//! The log of revocations is trimmed: the oldest entries go, and nobody notices.

use std::time::{Duration, Instant};

use gatekey_e2e::{Database, ROOMY, Server, Start, command};
use gatekey_proto::v1::Verdict;
use tempfile::TempDir;

/// As many revocations, of two days ago.
const OLD: i64 = 20_000;
/// As many entries stay, however old.
const KEPT: i64 = 16_384;

/// A database in which somebody has deleted many tokens, long ago.
async fn aged() -> Database {
    let database = Database::new().await;
    database.migrate();
    for statement in [
        "INSERT INTO tenant (id, live_tokens) VALUES ('acme', 0)",
        "UPDATE revocation_log SET log_time = now() - interval '3 days'",
        &format!(
            "INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time,
                                revoked_seq, revoked_nonce)
             SELECT 'acme', 'old', 'gk_b_00000000', 'batch', sha256(n::text::bytea), 'dev', 'dev',
                    now() - interval '4 days', now() + interval '1 year', n, n * 7
             FROM generate_series(1, {OLD}) AS n"
        ),
        "INSERT INTO revocation_log (seq, nonce, kind, digest, log_time)
         SELECT revoked_seq, revoked_nonce, 'revoke', digest, now() - interval '2 days' FROM token",
        &format!("UPDATE head SET seq = {OLD}, nonce = {OLD} * 7"),
    ] {
        database.execute(statement).await;
    }
    database
}

/// Waits until only as many entries are left as stay, and this is the number of the first.
async fn trimmed(database: &Database, by: &Server, first: i64) {
    let begun = Instant::now();
    loop {
        let log: (i64, i64) = database.rows("SELECT count(*), min(seq) FROM revocation_log").await[0];
        if log == (KEPT, first) {
            return;
        }
        assert!(begun.elapsed() < ROOMY && log.0 > KEPT, "{log:?}: {}", by.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_trimmed_and_nobody_notices() {
    let database = aged().await;
    let folder = TempDir::new().expect("a folder");
    let start = Start::in_folder(folder.path()).args(["--dev", "--database-url", &database.url]);
    let server = start.start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    trimmed(&database, &server, OLD - KEPT + 1).await;

    // A repeated delete of what is not in the log any more is no lost write, and waits for nobody.
    for id in [1, OLD - KEPT, OLD - KEPT + 1, OLD] {
        client.delete_within(id, Duration::from_secs(30)).await.expect("deleted long ago");
    }
    let (token, value) = client.create_batch("new").await;
    assert_eq!(client.verdict(&value).await, Verdict::Active);
    let receipt = client.delete(token.id).await.expect("deleted");
    assert_eq!(receipt.revision.expect("a revision").seq, OLD + 1);
    assert_eq!(client.verdict(&value).await, Verdict::Revoked);

    // One that comes later trims, too, and reads what is left.
    let late = start.start();
    let there = late.client(folder.path(), &["developer", "verifier"], "acme");
    assert_eq!(there.verdict(&value).await, Verdict::Revoked);
    there.delete(1).await.expect("deleted long ago");
    trimmed(&database, &late, OLD - KEPT + 2).await;

    // Exports are of tombstones: none is missing.
    let export = tokio::task::block_in_place(|| {
        command(["revocations", "export", "--database-url", &database.url], "").well()
    });
    let lines = export.lines();
    assert_eq!(i64::try_from(lines.len()).ok(), Some(OLD + 2));
    assert!(lines[0]["time"].is_null() && lines[lines.len() - 2]["time"].is_string(), "{}", lines[0]);
}
