//! `gatekey canary`: that it sings where revocation is strict, and that it falls silent where it is not.

mod liar;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use gatekey_e2e::{Database, Server, Start, gatekey};
use gatekey_model::PresentedToken;
use gatekey_proto::v1::Verdict;
use serde_json::Value;
use tempfile::TempDir;

use liar::Liar;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

fn jwt(folder: &Path) -> String {
    let output = Command::new(gatekey()).args(["dev-token", "--data-dir"]).arg(folder).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn canary(jwt: &str, endpoints: &[SocketAddr]) -> Command {
    let mut command = Command::new(gatekey());
    command.arg("canary").env("GATEKEY_JWT", jwt).stdin(Stdio::null());
    for endpoint in endpoints {
        command.arg("--endpoint").arg(format!("http://{endpoint}"));
    }
    command
}

/// What it printed, line by line, and on standard error: neither ever with a secret.
fn said(output: &Output, jwt: &str) -> (Vec<Value>, String) {
    let stdout = String::from_utf8(output.stdout.clone()).expect("text");
    let stderr = String::from_utf8(output.stderr.clone()).expect("text");
    for text in [&stdout, &stderr] {
        assert!(PresentedToken::find_in(text).next().is_none(), "a token's value is printed");
        assert!(!text.contains(jwt), "the JWT is printed");
    }
    let lines = stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (lines, stderr)
}

async fn nothing_is_left(server: &Server, folder: &Path) {
    let client = server.client(folder, &["developer"], "acme");
    assert_eq!(client.list(0, "").await.expect("a list").tokens, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_round_is_cached_deleted_and_strict() {
    let folder = folder();
    let server = Start::in_folder(folder.path()).start();
    let jwt = jwt(folder.path());
    let file = folder.path().join("jwt");
    std::fs::write(&file, format!("{jwt}\n")).expect("written");
    let mut command = canary("not used, as the file goes first", &[server.grpc]);
    let output = command.args(["--count", "5", "--interval", "0", "--jwt-file"]).arg(&file).output();
    let output = output.expect("it runs");
    let (lines, stderr) = said(&output, &jwt);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    let (summary, rounds) = lines.split_last().expect("a summary");
    assert_eq!(rounds.len(), 5);
    for (number, round) in (1_u64..).zip(rounds) {
        assert_eq!((&round["event"], &round["round"]), (&"round".into(), &number.into()), "{round}");
        assert_eq!(round["cached"], true, "{round}");
        assert!(round["delete_ms"].is_f64() && round["leases_waited_out"] == 0, "{round}");
        for count in ["stale", "false_rejects", "cannot_tell", "failed"] {
            assert_eq!(round[count], 0, "{round}");
        }
    }
    assert_eq!((&summary["event"], &summary["rounds"]), (&"summary".into(), &5.into()));
    assert_eq!((&summary["succeeded"], &summary["stale"]), (&5.into(), &0.into()));
    assert!(summary["delete_ms"]["p99"].is_f64(), "{summary}");
    nothing_is_left(&server, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_from_replica_to_replica() {
    let folder = folder();
    let database = Database::new().await;
    database.migrate();
    let start = Start::in_folder(folder.path()).args(["--dev", "--database-url", &database.url]);
    let servers = [start.start(), start.start(), start.start()];
    let jwt = jwt(folder.path());
    let addresses = servers.each_ref().map(|server| server.grpc);
    let output = canary(&jwt, &addresses).args(["--count", "6", "--interval", "0"]).output();
    let output = output.expect("it runs");
    let (lines, stderr) = said(&output, &jwt);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["succeeded"], &summary["failed"]), (&6.into(), &0.into()), "{summary}");
    nothing_is_left(&servers[0], folder.path()).await;
}

/// A canary in a process of its own, line by line.
struct Watched {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watched {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line of which this is true; there may be any number before.
    fn until(&mut self, what: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut text = String::new();
            self.lines.read_line(&mut text).expect("text");
            let line: Value = serde_json::from_str(&text).expect("a line of JSON before the end");
            if what(&line) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Its exit code, its summary, and what it said on standard error.
    fn end(mut self) -> (Option<i32>, Value, String) {
        let summary = self.until(|line| line["event"] == "summary");
        let status = self.child.wait().expect("it can be waited for");
        let mut stderr = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
        (status.code(), summary, stderr)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn good(line: &Value) -> bool {
    line["cached"] == true && line["delete_ms"].is_f64() && line["cannot_tell"] == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_with_a_summary_and_nothing_left() {
    let folder = folder();
    let server = Start::in_folder(folder.path()).start();
    let jwt = jwt(folder.path());
    for signal in ["TERM", "INT"] {
        let mut command = canary(&jwt, &[server.grpc]);
        command.args(["--interval", "0"]);
        let mut canary = Watched::start(command);
        canary.until(|line| line["round"] == 3);
        canary.signal(signal);
        let (code, summary, stderr) = canary.end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{summary}");
        assert!(summary["rounds"].as_u64() >= Some(3), "{summary}");
        nothing_is_left(&server, folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlives_the_server_and_leaves_nothing_behind() {
    let folder = folder();
    let start = Start::in_folder(folder.path()).args(["--lease", "2"]);
    let mut server = start.start();
    let jwt = jwt(folder.path());
    let mut command = canary(&jwt, &[server.grpc]);
    command.args(["--interval", "0"]);
    let mut canary = Watched::start(command);
    canary.until(good);
    server.kill();
    canary.until(|line| line["failed"] != 0 && line["delete_ms"].is_null());
    let address = server.grpc.to_string();
    let server = start.args(["--grpc-addr", &address]).start();
    canary.until(good);
    canary.signal("TERM");
    let (code, summary, stderr) = canary.end();
    assert_eq!((code, &summary["stale"]), (Some(0), &0.into()), "{summary} {stderr}");
    for news in ["out of reach", "answers again"] {
        assert_eq!(stderr.matches(news).count(), 1, "{stderr}");
    }
    nothing_is_left(&server, folder.path()).await;
}

#[test]
fn where_no_server_is_no_round_succeeds() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let output = canary("a.b.c", &[nowhere]).args(["--count", "2", "--interval", "0"]).output();
    let output = output.expect("it runs");
    let (lines, stderr) = said(&output, "a.b.c");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.matches("http://127.0.0.1:1: out of reach").count(), 1, "{stderr}");
    assert!(stderr.contains("no round succeeded") && !stderr.contains("left behind"), "{stderr}");
    let summary = lines.last().expect("a summary");
    let counts = ["rounds", "succeeded", "failed", "cannot_tell"].map(|name| summary[name].as_u64());
    assert_eq!(counts, [Some(2), Some(0), Some(2), Some(0)], "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_may_not_is_told_so_once() {
    let folder = folder();
    let server = Start::in_folder(folder.path()).start();
    let args = ["dev-token", "--role", "verifier", "--data-dir"];
    let output = Command::new(gatekey()).args(args).arg(folder.path()).output().expect("it runs");
    let jwt = String::from_utf8(output.stdout).expect("text").trim().to_owned();
    let output = canary(&jwt, &[server.grpc]).args(["--count", "2", "--interval", "0"]).output();
    let output = output.expect("it runs");
    let (_, stderr) = said(&output, &jwt);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr.matches("CreateToken: PermissionDenied").count(), 1, "{stderr}");
}

#[test]
fn every_wrong_setting_is_named_and_ends_it_with_2() {
    let wrong = ["--endpoint", "https://a", "--interval", "-1", "--count", "0"];
    let output = Command::new(gatekey()).arg("canary").args(wrong).env_remove("GATEKEY_JWT").output();
    let output = output.expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), [].as_slice()), "{said}");
    for flag in ["--endpoint", "--interval", "--count", "--jwt-file"] {
        assert!(said.contains(&format!("gatekey: {flag}")), "{flag}: {said}");
    }
}

async fn canary_at_liar(before: Verdict, after: Verdict) -> (Option<i32>, Vec<Value>) {
    let (address, server) = Liar::new(before, after).serve().await;
    let output = canary("a.b.c", &[address]).args(["--count", "2", "--interval", "0"]).output();
    let output = output.expect("it runs");
    server.abort();
    let (lines, _) = said(&output, "a.b.c");
    (output.status.code(), lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_accept_ends_it_at_once_with_1_and_is_named() {
    let (code, lines) = canary_at_liar(Verdict::Active, Verdict::Active).await;
    assert_eq!(code, Some(1));
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["stale", "stale", "round", "summary"]);
    assert_eq!(lines[0]["accepted_by"], "cache");
    assert!(lines[1]["accepted_by"].as_str().expect("text").starts_with("http://127.0.0.1:"));
    for line in &lines[..2] {
        assert_eq!((&line["token_id"], &line["position"]), (&17.into(), &"7@0000000000000008".into()));
    }
    assert_eq!((&lines[2]["stale"], &lines[3]["stale"]), (&2.into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_reject_ends_it_with_1_in_the_end() {
    let (code, lines) = canary_at_liar(Verdict::Unknown, Verdict::Revoked).await;
    assert_eq!(code, Some(1));
    let rejected = lines.iter().find(|line| line["event"] == "false_reject").expect("one");
    assert_eq!((&rejected["token_id"], &rejected["verdict"]), (&17.into(), &"VERDICT_UNKNOWN".into()));
    assert_eq!(lines.last().expect("a summary")["rounds"], 2);
}

/// The call goes on at the server, where it may make a token after whatever is done about it first.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_makes_that_was_cut_off_is_deleted_for_good() {
    let mut liar = Liar::new(Verdict::Active, Verdict::Revoked);
    liar.hangs = true;
    let (address, server) = liar.serve().await;
    let canary = Watched::start(canary("a.b.c", &[address]));
    liar.calls.subscribe().wait_for(|calls| !calls.is_empty()).await.expect("the server runs");
    canary.signal("TERM");
    let (code, summary, stderr) = canary.end();
    server.abort();
    let calls = liar.calls.borrow();
    let [cut_off, again, deleted, at_last] = &calls[..] else { panic!("{calls:?}: {stderr}") };
    assert_eq!((again, deleted.as_str(), at_last), (cut_off, "17", cut_off));
    assert_eq!((code, &summary["rounds"], &summary["failed"]), (Some(1), &0.into(), &0.into()), "{stderr}");
    assert!(!stderr.contains("left behind"), "{stderr}");
}
