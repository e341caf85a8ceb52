//! Starting, ending and starting again; and starts that must be refused, with what they say.

use std::path::Path;
use std::process::Command;

use futures_util::StreamExt;
use gatekey_e2e::{Database, Start, gatekey, reason};
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::health::{HealthCheckRequest, HealthListRequest};
use gatekey_proto::v1::{TokenType, Verdict, VerifyTokenRequest, verify_token_request::Credential};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// What a refused start says on standard error.
fn refusal(start: &Start) -> String {
    String::from_utf8(start.refused().stderr).expect("text")
}

async fn edit(file: &Path, sql: &'static str) {
    let url = format!("sqlite://{}", file.display());
    let mut database = SqliteConnection::connect(&url).await.expect("the database opens");
    database.execute(sql).await.expect("the statement runs");
    database.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_keys_outlive_a_restart() {
    let folder = folder();
    let mut server = Start::in_folder(folder.path()).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let (kept, kept_value) = client.create_batch("kept").await;
    let (gone, gone_value) = client.create_batch("gone").await;
    let revision = client.delete(gone.id).await.expect("deleted").revision;
    assert_eq!(server.terminate().code(), Some(0));

    let server = Start::in_folder(folder.path()).args(["--token-prefix", "acme"]).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    assert_eq!(client.verdict(&kept_value).await, Verdict::Active, "a new prefix kills no token");
    assert_eq!(client.verdict(&gone_value).await, Verdict::Revoked);
    assert_eq!(client.delete(gone.id).await.expect("again").revision, revision);
    let (new, _) = client.create_batch("new").await;
    assert!(new.key.starts_with("acme_b_") && new.id > kept.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_listed_but_not_good() {
    let folder = folder();
    let mut server = Start::in_folder(folder.path()).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let (_, value) = client.create_batch("old").await;
    server.terminate();
    edit(&folder.path().join("gatekey.db"), "UPDATE token SET expire_time = 1, create_time = 0").await;

    let server = Start::in_folder(folder.path()).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    assert_eq!(client.list(0, "").await.expect("a list").tokens.len(), 1);
    let wrong_type = VerifyTokenRequest {
        credential: Some(Credential::TokenValue(value)),
        required_type: TokenType::Realtime.into(),
        position: None,
    };
    let answer = client.verify_with(wrong_type).await.expect("an answer");
    assert_eq!(answer.verdict(), Verdict::Expired, "goes before the wrong type");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_server_to_its_end() {
    let folder = folder();
    let mut server = Start::in_folder(folder.path()).start();
    let mut health = server.stranger().health();
    for name in ["", "gatekey.v1.TokenService", "grpc.health.v1.Health"] {
        let answer = health.check(HealthCheckRequest { service: name.to_owned() }).await.expect("an answer");
        assert_eq!(answer.get_ref().status(), ServingStatus::Serving, "{name}");
    }
    let list = health.list(HealthListRequest {}).await.expect("a list");
    assert!(list.get_ref().statuses.contains_key("gatekey.v1.TokenService"));
    let unknown = health.check(HealthCheckRequest { service: "no.such".to_owned() }).await;
    assert_eq!(unknown.expect_err("unknown").code(), tonic::Code::NotFound);
    for path in ["livez", "readyz"] {
        let answer = reqwest::get(format!("http://{}/{path}", server.http)).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }
    let request = HealthCheckRequest { service: "gatekey.v1.TokenService".to_owned() };
    let mut watch = health.watch(request).await.expect("a watch").into_inner();
    assert_eq!(watch.next().await.expect("one").expect("good").status(), ServingStatus::Serving);
    server.signal("TERM");
    assert_eq!(watch.next().await.expect("one").expect("good").status(), ServingStatus::NotServing);
    assert!(watch.next().await.is_none(), "the watch ends, so that the drain can");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_of_the_binary_tells_by_its_exit_code() {
    let folder = folder();
    let mut server = Start::in_folder(folder.path()).start();
    let probe = |service: &str| {
        let address = server.grpc.to_string();
        let args = ["health", "--grpc-addr", &address, "--service", service];
        Command::new(gatekey()).args(args).output().expect("it runs").status.code()
    };
    assert_eq!(probe(""), Some(0));
    assert_eq!(probe("gatekey.v1.TokenService"), Some(0));
    assert_eq!(probe("no.such"), Some(1));
    let file = folder.path().join("gatekey.toml");
    std::fs::write(&file, format!("grpc-addr = \"0.0.0.0:{}\"\n", server.grpc.port())).expect("written");
    let by_name = format!("localhost:{}", server.grpc.port());
    for args in [["--grpc-addr", by_name.as_str()], ["--config", file.to_str().expect("text")]] {
        let output = Command::new(gatekey()).arg("health").args(args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    }
    let wrong =
        Command::new(gatekey()).args(["health", "--grpc-addr", "nonsense"]).output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(2));
    let address = server.grpc.to_string();
    server.terminate();
    let gone = Command::new(gatekey()).args(["health", "--grpc-addr", &address]).output().expect("it runs");
    assert_eq!(gone.status.code(), Some(1));
}

#[test]
fn a_second_server_on_one_folder_says_who_holds_it() {
    let folder = folder();
    let _first = Start::in_folder(folder.path()).start();
    let said = refusal(&Start::in_folder(folder.path()));
    assert!(said.contains("process") && said.contains("gatekey.db"), "{said}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = folder();
    let file = folder.path().join("gatekey.db");
    std::fs::write(&file, "a letter to my aunt\n".repeat(100)).expect("written");
    let said = refusal(&Start::in_folder(folder.path()));
    assert!(said.contains("gatekey.db") && said.contains("not a"), "{said}");
    assert!(std::fs::read_to_string(&file).expect("still there").starts_with("a letter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_newer_than_the_binary_is_refused() {
    let folder = folder();
    Start::in_folder(folder.path()).start().terminate();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99999, 'from the future', TRUE, x'00', 0)";
    edit(&folder.path().join("gatekey.db"), newer).await;
    edit(&folder.path().join("gatekey.db"), "UPDATE compatibility SET oldest_known = 99999").await;
    let said = refusal(&Start::in_folder(folder.path()));
    assert!(said.contains("newer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_migrated_on_purpose_and_a_newer_schema_is_refused() {
    let folder = folder();
    let database = Database::new().await;
    let start = Start::in_folder(folder.path()).args([
        "--dev",
        "--database-url",
        &database.url,
        "--start-timeout",
        "0",
    ]);
    let said = refusal(&start);
    assert!(said.contains("gatekey migrate"), "{said}");
    for expected in ["was behind, and is up to date now", "is up to date: nothing to do"] {
        let args = ["migrate", "--database-url", &database.url];
        let output = Command::new(gatekey()).args(args).output().expect("it runs");
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(said.contains(expected), "{said}");
    }
    start.start().terminate();
    let mut connection = PgConnection::connect(&database.url).await.expect("it connects");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99999, 'from the future', TRUE, '', 0)";
    connection.execute(newer).await.expect("the statement runs");
    connection.execute("UPDATE compatibility SET oldest_known = 99999").await.expect("the statement runs");
    let said = refusal(&start);
    assert!(said.contains("newer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_migrations_at_once_are_one() {
    let database = Database::new().await;
    let migrations: Vec<_> = (0..4)
        .map(|_| {
            Command::new(gatekey())
                .args(["migrate", "--database-url", &database.url])
                .spawn()
                .expect("it runs")
        })
        .collect();
    for mut migration in migrations {
        assert!(migration.wait().expect("it ends").success());
    }
}

#[test]
fn a_store_that_is_not_there_is_refused_without_its_password() {
    let folder = folder();
    let url = "postgres://user:hunter2@127.0.0.1:1/gatekey";
    let args = ["--dev", "--database-url", url, "--start-timeout", "0"];
    let said = refusal(&Start::in_folder(folder.path()).args(args));
    assert!(said.contains("127.0.0.1"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn wrong_settings_name_the_flag_and_end_with_2() {
    let folder = folder();
    for (args, expected) in [
        (vec!["--grpc-addr", "0.0.0.0:0"], "--grpc-addr"),
        (vec!["--token-prefix", "NO"], "--token-prefix"),
        (vec!["--grpc-addr", "nonsense"], "--grpc-addr"),
        (vec!["--log", "===="], "--log"),
    ] {
        let output = Start::in_folder(folder.path()).args(args).refused();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thousand_and_first_token_is_refused() {
    let folder = folder();
    let server = Start::in_folder(folder.path()).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    let creators = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                client.create_batch("one of many").await;
            }
        })
    });
    for creator in creators.collect::<Vec<_>>() {
        creator.await.expect("no creator fails");
    }
    let one_more = gatekey_proto::v1::CreateTokenRequest {
        name: "one too many".to_owned(),
        r#type: TokenType::Batch.into(),
        years_valid: 1,
        request_id: String::new(),
    };
    let status = client.create(one_more.clone()).await.expect_err("refused");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(reason(&status), "gatekey/TOKEN_LIMIT_REACHED");
    let listed = client.list(0, "").await.expect("a list");
    assert_eq!((listed.tokens.len(), listed.next_page_token.as_str()), (1_000, ""));
    client.delete(listed.tokens[0].id).await.expect("deleted");
    assert!(client.create(one_more).await.is_ok(), "a deleted token leaves its place");
}
