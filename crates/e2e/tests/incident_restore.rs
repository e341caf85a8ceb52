//! A backup is restored: tokens that were deleted since are deleted again before anybody accepts them, and what services
//! remember of tokens that the backup does not know is forgotten.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use gatekey_e2e::{
    Checked, Cluster, Database, FaultProxy, HolderStart, Link, Outcome, ROOMY, Running, Said, Server, Start,
    TestHolder, command, dev_token, gatekey, hex,
};
use gatekey_proto::v1::Verdict;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const LEASE: [&str; 2] = ["--lease", "2"];

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

/// Until the service can tell again: whatever it says before is no accept.
async fn rejected_in_the_end(holder: &TestHolder, value: &str) {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < ROOMY, "it can't tell");
        match holder.check(value).await.outcome {
            Outcome::Rejected => return,
            Outcome::CannotTell => {}
            Outcome::Accepted => panic!("accepted after the restore"),
        }
    }
}

/// The store by its flags.
fn run(store: &[&str], args: &[&str], input: &str) -> Said {
    tokio::task::block_in_place(|| command([args, store].concat(), input))
}

/// What both stores must show. `backup` makes one, `restore` puts it into the place of the store while no server runs.
async fn deleted_tokens_stay_deleted(
    folder: &Path,
    store: &[&str],
    start: Start,
    backup: impl AsyncFnOnce(),
    restore: impl AsyncFnOnce(),
) {
    let mut server = start.clone().start();
    let client = server.client(folder, &["developer", "verifier"], "acme");
    let holder = holder(&server, folder).start();
    let (before, before_value) = client.create_batch("deleted before").await;
    let (since, since_value) = client.create_batch("deleted since").await;
    let (_, kept) = client.create_batch("kept").await;
    client.delete(before.id).await.expect("deleted");
    backup().await;
    let (_, lost) = client.create_batch("created since").await;
    let (both, both_value) = client.create_batch("created and deleted since").await;
    for value in [&since_value, &kept, &lost] {
        warm(async || holder.check(value).await).await;
    }
    client.delete(since.id).await.expect("deleted");
    client.delete(both.id).await.expect("deleted");

    // Beside the running server.
    let export = run(store, &["revocations", "export"], "").well();
    let lines = export.lines();
    assert_eq!((lines.len(), lines[3]["kind"].as_str(), lines[3]["seq"].as_i64()), (4, Some("end"), Some(3)));
    assert!(lines[..3].iter().all(|line| line["time"].is_string() && line["digest"].as_str().is_some()));
    let after = |export: &Said| export.lines().last().and_then(|line| line["after"].as_i64());
    assert_eq!(after(&export), Some(0));
    let some = run(store, &["revocations", "export", "--after", "2"], "").well();
    assert_eq!((&some.lines()[0], after(&some)), (&lines[2], Some(2)));
    let newest = run(store, &["revocations", "export", "--after", "3"], "").well();
    assert_eq!(newest.lines().len(), 1);
    let beyond = run(store, &["revocations", "export", "--after", "4"], "");
    assert!(beyond.code == Some(1) && beyond.out.is_empty(), "{beyond:?}");
    assert!(beyond.err.contains("make a full export"), "{beyond:?}");
    let none = run(store, &["revocations", "export", "--since", "2099-01-01T00:00:00Z"], "").well();
    assert_eq!((none.lines().len(), after(&none)), (1, Some(3)), "it left all of them out");

    let address = server.grpc.to_string();
    drop(client);
    tokio::task::block_in_place(|| server.terminate());
    restore().await;
    let restored = run(store, &["restored"], "").well();
    assert!(restored.out.contains("every lease from before is over"), "{restored:?}");
    assert_ne!(holder.check(&lost).await.outcome, Outcome::Accepted);
    let cut_off = export.out.lines().take(2).collect::<Vec<_>>().join("\n");
    let refused = run(store, &["revocations", "replay", "-"], &cut_off);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("it was cut off"), "{refused:?}");
    let replayed = run(store, &["revocations", "replay", "-"], &export.out).well();
    assert!(replayed.out.contains("1 revoked, 1 already, 1 unknown"), "{replayed:?}");
    assert!(replayed.out.contains("the exports have of the log: 1 to 3\n"), "{replayed:?}");

    let server = start.args(["--grpc-addr", &address]).start();
    let client = server.client(folder, &["developer", "verifier"], "acme");
    for value in [&since_value, &before_value, &lost, &both_value] {
        rejected_in_the_end(&holder, value).await;
    }
    for (value, verdict) in [
        (&before_value, Verdict::Revoked),
        (&since_value, Verdict::Revoked),
        (&lost, Verdict::Unknown),
        (&both_value, Verdict::Unknown),
        (&kept, Verdict::Active),
    ] {
        assert_eq!(client.verdict(value).await, verdict);
    }
    warm(async || holder.check(&kept).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_from_a_dump() {
    let folder = TempDir::new().expect("a folder");
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    let store = ["--database-url", &database.url];
    let start = Start::in_folder(folder.path()).args(LEASE).args(["--dev"]).args(store);
    let dump = std::cell::OnceCell::new();
    let backup = async || {
        let file = tokio::task::block_in_place(|| cluster.dump(&database));
        dump.set(file).expect("once");
    };
    let restore = async || {
        tokio::task::block_in_place(|| cluster.restore(&database, dump.get().expect("made")));
    };
    deleted_tokens_stay_deleted(folder.path(), &store, start, backup, restore).await;
    let said = command(["backup", "--database-url", &database.url, "copy"], "");
    assert!(said.code == Some(2) && said.err.contains("pg_dump"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_from_a_backup_of_the_running_server() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let copy = folder.path().join("copy.db");
    let store = ["--data-dir", data.to_str().expect("text")];
    let streamed = std::cell::OnceCell::new();
    let backup = async || {
        let copy = copy.to_str().expect("text");
        let said = run(&store, &["backup", copy], "").well();
        assert!(said.out.contains("checked; it has all revocations up to 1@"), "{said:?}");
        assert!(run(&store, &["backup", copy], "").err.contains("exists already"));
        let output = Command::new(gatekey()).args(["backup", "-"]).args(store).output().expect("it runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success() && said.contains("all revocations up to 1@"), "{said}");
        let digest = hex(&Sha256::digest(&output.stdout));
        assert!(said.contains(&format!("its SHA-256 is {digest}")), "{said}");
        streamed.set(output.stdout).expect("once");
    };
    let restore = async || {
        std::fs::write(data.join("gatekey.db"), streamed.get().expect("made")).expect("written");
    };
    let start = Start::in_folder(&data).args(LEASE);
    deleted_tokens_stay_deleted(&data, &store, start, backup, restore).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&copy).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let left = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 2, "the data and the copy, and no drafts");
    assert!(!has_drafts(&data));
}

fn has_drafts(folder: &Path) -> bool {
    let mut names =
        std::fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").file_name());
    names.any(|name| name.to_string_lossy().contains("partial"))
}

/// Restored twice, and from the same backup: a count would come to the same epoch both times.
#[tokio::test(flavor = "multi_thread")]
async fn every_restore_is_an_epoch_of_its_own() {
    let folder = TempDir::new().expect("a folder");
    let mut server = Start::in_folder(folder.path()).args(LEASE).start();
    server.terminate();
    let file = folder.path().join("gatekey.db");
    let copy = std::fs::read(&file).expect("the file");
    let data = ["--data-dir", folder.path().to_str().expect("text")];
    let mut epochs = std::collections::HashSet::new();
    for _ in 0..2 {
        std::fs::write(&file, &copy).expect("restored");
        let restored = run(&data, &["restored"], "").well();
        assert!(restored.out.contains("a new epoch has begun"), "{restored:?}");
        let url = format!("sqlite://{}", file.display());
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("it opens");
        let epoch: i64 =
            sqlx::query_scalar("SELECT epoch FROM head").fetch_one(&mut connection).await.expect("one");
        sqlx::Connection::close(connection).await.expect("it closes");
        assert!(epoch > 0 && epochs.insert(epoch));
    }
}

/// The store can't be read while the leases run out, and has lost the revocation once it can, as after a failover to a
/// standby that never had it.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_a_failover_lost_is_not_said_to_be_in_force() {
    let folder = TempDir::new().expect("a folder");
    let database = Database::new().await;
    database.migrate();
    let start = Start::in_folder(folder.path()).args(["--lease", "8"]);
    let server = start.args(["--dev", "--database-url", &database.url]).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let process = holder(&server, folder.path()).start_process();
    let (token, value) = client.create_batch("one").await;
    warm(async || process.check(&value).await).await;
    // So that it has to be waited for.
    process.signal("STOP");
    let (url, link) = FaultProxy::before_database(&database.url, database.address()).await;
    let mut running = Running::start(["revoke", "--database-url", &url, "--key", &token.key], "");
    tokio::task::block_in_place(|| running.wait_for("waiting until it is in force everywhere"));
    link.set(Link::STALLED);
    tokio::task::block_in_place(|| running.wait_for("still waiting: the store does not answer"));
    database.execute("UPDATE revocation_log SET nonce = nonce # 1 WHERE seq = 1").await;
    link.heal();
    let said = tokio::task::block_in_place(|| running.end());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("history forked") && !said.out.contains("in force"), "{said:?}");
}
