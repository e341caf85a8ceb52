//! `gatekey revoke` beside running servers, with services that have the tokens in their memory: once it has returned, nobody
//! accepts them; and it says what it did, without a value.

use std::path::Path;
use std::time::Instant;

use gatekey_e2e::{
    Checked, Database, HolderStart, Outcome, ROOMY, Running, Said, Server, Start, command, dev_token,
};
use gatekey_proto::v1::Verdict;
use serde_json::Value;
use tempfile::TempDir;

/// Short, since some of it is waited out.
const LEASE: [&str; 2] = ["--lease", "2"];

struct Scene {
    folder: TempDir,
    database: Database,
    server: Server,
}

impl Scene {
    async fn new(lease: [&str; 2]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = Database::new().await;
        database.migrate();
        let server = Start::in_folder(folder.path())
            .args(lease)
            .args(["--dev", "--database-url", &database.url])
            .start();
        Self { folder, database, server }
    }

    fn client(&self, tenant: &str) -> gatekey_e2e::Client {
        self.server.client(self.folder.path(), &["developer", "verifier"], tenant)
    }

    fn holder(&self) -> HolderStart {
        holder(&self.server, self.folder.path())
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let all = ["revoke", "--database-url", &self.database.url, "--operator", "ada on call"];
        [&all[..], args].concat()
    }

    fn revoke(&self, args: &[&str], input: &str) -> Said {
        command(self.args(args), input)
    }
}

fn holder(server: &Server, folder: &Path) -> HolderStart {
    HolderStart { endpoints: vec![server.grpc], jwt: dev_token(folder, &["--role", "verifier"]) }
}

/// Has it accepted from the service's own memory.
async fn warm(check: impl AsyncFn() -> Checked) {
    let begun = Instant::now();
    while !check().await.cached {
        assert!(begun.elapsed() < ROOMY, "it is never had in memory");
    }
}

fn summary(said: &Said) -> Value {
    said.lines().pop().expect("a summary")
}

fn events(said: &Said, event: &str) -> Vec<Value> {
    said.lines().into_iter().filter(|line| line["event"] == event).collect()
}

/// What the audit log has of the command: outcome, token, tenant.
type Audit = (String, Option<i64>, Option<String>);

async fn audit(database: &Database) -> Vec<Audit> {
    database
        .rows("SELECT outcome, token_id, tenant FROM audit_log WHERE issuer = 'gatekey-operator' ORDER BY id")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn leaked_values_are_accepted_nowhere_once_it_has_returned() {
    let scene = Scene::new(LEASE).await;
    let client = scene.client("acme");
    let holder = scene.holder().start();
    let (one, first) = client.create_batch("one").await;
    let (other, second) = scene.client("globex").create_batch("other").await;
    let (_, untouched) = client.create_batch("untouched").await;
    let (gone, third) = client.create_batch("gone").await;
    client.delete(gone.id).await.expect("deleted");
    // Of another installation: in the form of a token, and nobody's.
    let elsewhere = TempDir::new().expect("a folder");
    let stranger = Start::in_folder(elsewhere.path()).start();
    let (unknown, unknown_value) =
        stranger.client(elsewhere.path(), &["developer"], "acme").create_batch("there").await;
    for value in [&first, &second, &untouched] {
        warm(async || holder.check(value).await).await;
    }

    let leak = format!("{first}\n\ntoken: {second};\nnothing here\n{third}\n{unknown_value}\n{first}\n");
    let refused = scene.revoke(&["--value-stdin", "--json"], &leak);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("--yes: needed to revoke 2 tokens"), "{refused:?}");
    assert_eq!(client.verdict(&first).await, Verdict::Active);
    assert_eq!(audit(&scene.database).await, []);

    let said =
        scene.revoke(&["--value-stdin", "--json", "--yes", "--reason", "found in a repository"], &leak);
    for value in [&first, &second] {
        assert_eq!(holder.check(value).await.outcome, Outcome::Rejected, "strict");
        assert_eq!(client.verdict(value).await, Verdict::Revoked);
    }
    assert_eq!(holder.check(&untouched).await.outcome, Outcome::Accepted);
    // A line without a value is nothing to pass over.
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("(4); everything else is revoked"), "{said:?}");
    for value in [&first, &second, &third, &unknown_value] {
        assert!(!said.out.contains(value.as_str()) && !said.err.contains(value.as_str()));
    }
    let revoked: Vec<_> = events(&said, "revoked").iter().map(|line| line["id"].as_i64()).collect();
    assert_eq!(revoked, [Some(one.id), Some(other.id)]);
    assert_eq!(events(&said, "already")[0]["id"], gone.id);
    assert_eq!(
        events(&said, "unknown"),
        [serde_json::json!({ "event": "unknown", "key": unknown.key, "line": 6 })]
    );
    assert_eq!(events(&said, "malformed")[0]["line"], 4);
    let summary = summary(&said);
    let counts = ["revoked", "already", "unknown", "malformed", "holders_confirmed"]
        .map(|name| summary[name].as_u64());
    assert_eq!(counts, [2, 1, 1, 1, 1].map(Some));
    let entry = |outcome: &str, id, tenant: &str| (outcome.to_owned(), Some(id), Some(tenant.to_owned()));
    let mut found = audit(&scene.database).await;
    assert_eq!(found.remove(0), ("begun: found in a repository".to_owned(), None, None));
    let mut expected = [
        entry("done", one.id, "acme"),
        entry("done", other.id, "globex"),
        entry("repeated", gone.id, "acme"),
    ];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let again = scene.revoke(&["--value-stdin", "--json"], &format!("{first}\n{second}\n")).well();
    assert_eq!((summary["revoked"].as_u64(), events(&again, "already").len()), (Some(2), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stands_still_is_waited_for() {
    let scene = Scene::new(LEASE).await;
    let client = scene.client("acme");
    let process = scene.holder().start_process();
    let (token, value) = client.create_batch("one").await;
    warm(async || process.check(&value).await).await;
    process.signal("STOP");
    let said = tokio::task::block_in_place(|| scene.revoke(&["--key", &token.key, "--json"], "")).well();
    process.signal("CONT");
    assert_ne!(process.check(&value).await.outcome, Outcome::Accepted, "its lease was waited out");
    assert_eq!(summary(&said)["leases_waited_out"], 1, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_interrupted_says_what_is_committed_and_may_be_repeated() {
    let scene = Scene::new(["--lease", "60"]).await;
    let client = scene.client("acme");
    let process = scene.holder().start_process();
    let (token, value) = client.create_batch("one").await;
    warm(async || process.check(&value).await).await;
    process.signal("STOP");
    let mut running = Running::start(scene.args(&["--key", &token.key]), "");
    running.wait_for("waiting until it is in force everywhere, 75.0 s at the most");
    running.signal("TERM");
    let said = running.end();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("interrupted: all 1 are committed"), "{said:?}");
    // A repeat waits for it as well.
    let mut running = Running::start(scene.args(&["--key", &token.key]), "");
    running.wait_for("waiting until it is in force everywhere");
    process.signal("CONT");
    let said = running.end().well();
    assert!(said.out.contains("0 revoked, 1 already, 0 unknown"), "{said:?}");
    assert_eq!(process.check(&value).await.outcome, Outcome::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_creators_and_ids() {
    let scene = Scene::new(LEASE).await;
    let of = |tenant, subject| {
        let args = ["--tenant", tenant, "--subject", subject, "--role", "developer", "--role", "verifier"];
        scene.server.client_with(&dev_token(scene.folder.path(), &args))
    };
    let (ada, bob, adas_other) = (of("acme", "ada"), of("acme", "bob"), of("globex", "ada"));
    let (a, a_value) = ada.create_batch("a").await;
    let (b, b_value) = bob.create_batch("b").await;
    let (c, c_value) = adas_other.create_batch("c").await;
    let ids =
        |said: &Said, event| events(said, event).iter().map(|line| line["id"].as_i64()).collect::<Vec<_>>();

    let dry = scene.revoke(&["--creator", "ada", "--dry-run", "--json"], "").well();
    assert_eq!(ids(&dry, "would_revoke"), [Some(a.id), Some(c.id)]);
    assert_eq!(summary(&dry)["would_revoke"], 2);
    assert_eq!(audit(&scene.database).await, [], "nothing is written");
    assert_eq!(ada.verdict(&a_value).await, Verdict::Active);

    let said = scene.revoke(&["--creator", "ada", "--tenant", "globex", "--json"], "").well();
    assert_eq!(ids(&said, "revoked"), [Some(c.id)]);
    let verdicts = [ada.verdict(&a_value).await, bob.verdict(&b_value).await, ada.verdict(&c_value).await];
    assert_eq!(verdicts, [Verdict::Active, Verdict::Active, Verdict::Revoked]);

    let nobodys = scene.revoke(&["--id", &a.id.to_string(), "--tenant", "globex", "--json"], "").well();
    assert_eq!((ids(&nobodys, "revoked").len(), summary(&nobodys)["unknown"].as_u64()), (0, Some(1)));
    let said = scene.revoke(&["--id", &a.id.to_string(), "--tenant", "acme", "--json"], "").well();
    assert_eq!(ids(&said, "revoked"), [Some(a.id)]);

    let said = scene.revoke(&["--tenant", "acme"], "").well();
    assert!(said.out.contains("1 revoked, 1 already, 0 unknown"), "{said:?}");
    assert!(said.out.contains(&b.key) && !said.out.contains(&a.key), "tombstones are only counted: {said:?}");
    assert_eq!(bob.verdict(&b_value).await, Verdict::Revoked);
}

/// Whether or not somebody reads what it says: with `| head` nobody does.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_fit_into_one_transaction() {
    for read in [true, false] {
        let scene = Scene::new(LEASE).await;
        let (_, value) = scene.client("acme").create_batch("real").await;
        let holder = scene.holder().start();
        warm(async || holder.check(&value).await).await;
        let fill = "INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time)
            SELECT 'acme', 'made', 'gk_b_' || n, 'batch', sha256(n::text::bytea), 'ada', 'i', now(), now()
            FROM generate_series(1, 1700) AS n";
        scene.database.execute(fill).await;
        scene.database.execute("UPDATE tenant SET live_tokens = 1701").await;
        let mut running = Running::start(scene.args(&["--tenant", "acme", "--yes", "--json"]), "");
        if !read {
            running.close_output();
        }
        let said = tokio::task::block_in_place(|| running.end());
        assert_eq!(holder.check(&value).await.outcome, Outcome::Rejected);
        assert!(said.err.contains("1500 of 1701 are committed"), "{}", said.err);
        let counts =
            "SELECT live_tokens, (SELECT count(*) FROM revocation_log), (SELECT max(seq) FROM revocation_log)
            FROM tenant";
        let counts: Vec<(i64, i64, i64)> = scene.database.rows(counts).await;
        assert_eq!(counts, [(0, 1_702, 1_701)]);
        if read {
            assert_eq!(summary(&said.well())["revoked"], 1_701);
        } else {
            let all = "everything is revoked, and that is in force everywhere; but not all of it was said";
            assert!(said.code == Some(1) && said.err.contains(all), "{}", said.err);
        }
    }
}

#[test]
fn a_signal_ends_it_while_it_reads() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().to_str().expect("text");
    // More than fits into the pipe: once it is written, some of it has been read.
    let input = "no token\n".repeat(100_000);
    let running = Running::start_and_feed(["revoke", "--data-dir", data, "--value-stdin"], &input);
    running.signal("TERM");
    assert_eq!(running.end().code, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_it_works_in_the_place_of_the_server() {
    let folder = TempDir::new().expect("a folder");
    let start = Start::in_folder(folder.path()).args(LEASE);
    let mut server = start.start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let (token, value) = client.create_batch("one").await;
    let (other, _) = client.create_batch("other").await;
    let revoke = |args: &[&str], data: &Path| {
        let data = ["revoke", "--data-dir", data.to_str().expect("text")];
        command([&data[..], args].concat(), "")
    };
    let refused = revoke(&["--key", &token.key], folder.path());
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("delete the tokens through the running server"), "{refused:?}");
    assert_eq!(client.verdict(&value).await, Verdict::Active);
    drop(client);
    server.terminate();
    let said = revoke(&["--key", &token.key, "--json"], folder.path()).well();
    assert_eq!(summary(&said)["leases_waited_out"], 0, "the server left in good order");

    let mut server = start.start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    assert_eq!(client.verdict(&value).await, Verdict::Revoked);
    server.kill();
    let said = revoke(&["--key", &other.key, "--json"], folder.path()).well();
    assert_eq!(summary(&said)["leases_waited_out"], 1, "what it granted is waited out");

    let nowhere = revoke(&["--key", &token.key], &folder.path().join("mistyped"));
    assert_eq!(nowhere.code, Some(2));
    assert!(!folder.path().join("mistyped").exists(), "{nowhere:?}");
}
