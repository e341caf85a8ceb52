//! Programs of two versions on one database, as while an upgrade is under way; and leases of two lengths.

use std::process::Command;
use std::time::{Duration, Instant};

use gatekey_e2e::{
    Client, Database, HolderStart, Outcome, ROOMY, Running, Server, Start, TestHolder, boottime, command,
    dev_token, gatekey,
};
use gatekey_proto::v1;
use gatekey_proto::v1::Verdict;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::watch_request::Event as Up;
use gatekey_proto::v1::watch_response::Event as Down;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What a later version might do first: it adds, and takes nothing away.
const FUTURE: [&str; 3] = [
    "ALTER TABLE token ADD COLUMN last_seen timestamptz",
    "CREATE TABLE note (id bigint PRIMARY KEY, text text NOT NULL)",
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
     VALUES (99999, 'from the future', TRUE, '', 0)",
];

struct Setting {
    folder: TempDir,
    database: Database,
}

impl Setting {
    async fn new() -> Self {
        let database = Database::new().await;
        database.migrate();
        Self { folder: TempDir::new().expect("a folder"), database }
    }

    fn start(&self) -> Start {
        Start::in_folder(self.folder.path()).args(["--dev", "--database-url", &self.database.url])
    }

    fn client(&self, server: &Server) -> Client {
        server.client(self.folder.path(), &["developer", "verifier"], "acme")
    }

    fn jwt(&self) -> String {
        dev_token(self.folder.path(), &["--role", "developer", "--role", "verifier", "--tenant", "acme"])
    }

    fn migrate(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(gatekey())
            .args(["migrate", "--database-url", &self.database.url])
            .args(args)
            .output()
            .expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    }
}

/// Created at one, in memory at the other, and gone from both when the delete has returned.
async fn work_together(one: &Client, other: &Client) {
    let (token, value) = one.create_batch("of two versions").await;
    for client in [one, other] {
        assert_eq!(client.verdict(&value).await, Verdict::Active);
    }
    other.delete(token.id).await.expect("deleted");
    for client in [one, other] {
        assert_eq!(client.verdict(&value).await, Verdict::Revoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_go_on_and_are_started_anew_on_a_newer_schema_that_is_for_them() {
    let setting = Setting::new().await;
    let (one, mut other) = (setting.start().start(), setting.start().start());
    work_together(&setting.client(&one), &setting.client(&other)).await;
    for statement in FUTURE {
        setting.database.execute(statement).await;
    }
    work_together(&setting.client(&one), &setting.client(&other)).await;
    assert_eq!(other.terminate().code(), Some(0));
    let other = setting.start().start();
    assert!(other.log().contains("which may use it"), "{}", other.log());
    work_together(&setting.client(&one), &setting.client(&other)).await;
    for (args, code) in [(&[][..], 0), (&["--check"][..], 0)] {
        let (exit, said) = setting.migrate(args);
        assert!(exit == Some(code) && said.contains("which may use it: nothing to do"), "{said}");
    }

    // And once the version after that has taken something away, it is refused, with what to do.
    setting.database.execute("UPDATE compatibility SET oldest_known = 99999").await;
    work_together(&setting.client(&one), &setting.client(&other)).await;
    let refused = setting.start().refused();
    let said = String::from_utf8(refused.stderr).expect("text");
    assert!(refused.status.code() == Some(1) && said.contains("run a newer gatekey"), "{said}");
    for args in [&[][..], &["--check"][..]] {
        let (exit, said) = setting.migrate(args);
        assert!(exit == Some(1) && said.contains("run a newer gatekey"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_changes_nothing_and_tells_by_its_exit_code() {
    let setting = Setting { folder: TempDir::new().expect("a folder"), database: Database::new().await };
    for _ in 0..2 {
        let (exit, said) = setting.migrate(&["--check"]);
        assert!(exit == Some(3) && said.contains("run `gatekey migrate`"), "{said}");
    }
    assert_eq!(setting.migrate(&[]).0, Some(0));
    assert_eq!(setting.migrate(&["--check"]).0, Some(0));

    let sqlite = |args: &[&str]| {
        let data_dir = setting.folder.path();
        let mut command = Command::new(gatekey());
        command
            .arg("migrate")
            .arg("--data-dir")
            .arg(data_dir)
            .args(args)
            .output()
            .expect("it runs")
            .status
            .code()
    };
    assert_eq!(sqlite(&["--check"]), Some(3));
    assert!(!setting.folder.path().join("gatekey.db").exists(), "it makes no file");
    assert_eq!(sqlite(&[]), Some(0));
    // A server has the file meanwhile.
    let _server = Start::in_folder(setting.folder.path()).start();
    assert_eq!(sqlite(&["--check"]), Some(0));
}

/// It is the lock of a program that is still at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_another_one_and_says_so() {
    let database = Database::new().await;
    let mut other =
        <sqlx::PgConnection as sqlx::Connection>::connect(&database.url).await.expect("it connects");
    sqlx::raw_sql("SELECT pg_advisory_lock(7449363237589842177)").execute(&mut other).await.expect("locked");
    let mut running = Running::start(["migrate", "--database-url", &database.url], "");
    tokio::task::block_in_place(|| running.wait_for("another migration of this database is under way"));
    sqlx::Connection::close(other).await.expect("it closes");
    let said = tokio::task::block_in_place(|| running.end()).well();
    assert!(said.out.contains("is up to date now"), "{said:?}");
}

/// The backup comes before the migration, and the new program may make it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_version_before_can_be_backed_up() {
    let folder = TempDir::new().expect("a folder");
    Start::in_folder(folder.path()).start().terminate();
    let url = format!("sqlite://{}", folder.path().join("gatekey.db").display());
    let execute = async |statement: &'static str| {
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("it opens");
        sqlx::query(statement).execute(&mut connection).await.expect("it is carried out");
        sqlx::Connection::close(connection).await.expect("it closes");
    };
    execute("DELETE FROM _sqlx_migrations WHERE version > 1").await;
    execute("DROP TABLE compatibility").await;
    let data = folder.path().to_str().expect("text");
    let backup = |name: &str| {
        let copy = folder.path().join(name);
        command(["backup", "--data-dir", data, copy.to_str().expect("text")], "")
    };
    assert!(backup("copy.db").well().out.contains("checked"));
    let export = command(["revocations", "export", "--data-dir", data], "");
    assert!(export.code == Some(1) && export.err.contains("is behind"), "{export:?}");

    execute("ALTER TABLE head RENAME TO anothers").await;
    let anothers = backup("anothers.db");
    assert!(anothers.code == Some(1) && anothers.err.contains("no backup was made"), "{anothers:?}");
    assert!(!folder.path().join("anothers.db").exists());
}

/// A holder by hand: it takes a lease, and confirms nothing afterwards. Until when it could use its grant, in nanoseconds.
async fn silent_holder(client: &Client) -> (mpsc::Sender<v1::WatchRequest>, u64) {
    let (say, mut said) = mpsc::channel(8);
    let tell = async |event| say.send(v1::WatchRequest { event: Some(event) }).await.expect("it is open");
    tell(Up::Hello(v1::Hello { holder: vec![1; 16], position: None, stream: 1, epoch: 0 })).await;
    let outbound = futures_util::stream::poll_fn(move |context| said.poll_recv(context));
    let mut service = RevocationServiceClient::new(client.channel());
    let mut hear = service.watch(client.request(outbound)).await.expect("a stream").into_inner();
    let mut sent = 0;
    loop {
        let message = timeout(ROOMY, hear.message()).await.expect("an answer").expect("no error");
        match message.expect("it goes on").event.expect("an event") {
            Down::Reset(v1::Reset { id, position, .. }) => {
                tell(Up::Ack(v1::Ack { position, reset_id: id })).await;
                sent = boottime();
                tell(Up::Renew(v1::Renew { id: 1, reset_id: id })).await;
            }
            Down::Grant(v1::Grant { ttl, .. }) => {
                let ttl = Duration::try_from(ttl.expect("a length")).expect("a length");
                return (say, sent + u64::try_from(ttl.as_nanos()).expect("short"));
            }
            _ => {}
        }
    }
}

/// As in the middle of a roll-out that changes `--lease`.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_leases_of_two_lengths_are_safe_together() {
    let setting = Setting::new().await;
    let short = setting.start().args(["--lease", "2"]).start();
    let long = setting.start().args(["--lease", "6"]).start();
    let (at_short, at_long) = (setting.client(&short), setting.client(&long));
    work_together(&at_short, &at_long).await;
    work_together(&at_long, &at_short).await;

    // Real holders at each, deletes through each.
    let holders: Vec<TestHolder> = [&short, &long]
        .map(|server| HolderStart { endpoints: vec![server.grpc], jwt: setting.jwt() }.start())
        .into();
    for deleter in [&at_short, &at_long] {
        let (token, value) = at_short.create_batch("held by both").await;
        for holder in &holders {
            let begun = Instant::now();
            while !holder.check(&value).await.cached {
                assert!(begun.elapsed() < ROOMY, "it is never had in memory");
            }
        }
        let receipt = deleter.delete(token.id).await.expect("deleted");
        for holder in &holders {
            assert_eq!(holder.check(&value).await.outcome, Outcome::Rejected);
        }
        assert_eq!(receipt.leases_waited_out, 0, "everybody is there to confirm");
    }
    drop(holders);

    // The one with the short lease waits for a grant of the long one.
    let (token, _) = at_short.create_batch("held by one who is silent").await;
    let (stream, lives_until) = silent_holder(&at_long).await;
    let receipt = at_short.delete(token.id).await.expect("deleted");
    assert!(boottime() > lives_until, "it returned while a grant lived");
    assert!(receipt.leases_waited_out >= 1, "{receipt:?}");
    drop(stream);
}
