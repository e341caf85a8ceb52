//! Servers that come before their store, or before its schema: what they answer meanwhile, that they become ready by
//! themselves, and what they don't wait for.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use gatekey_e2e::{Begun, Cluster, Database, ROOMY, Server, Start, dev_token, gatekey, reason};
use gatekey_proto::health::health_check_response::ServingStatus;
use tempfile::TempDir;
use tonic::Code;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

fn on(folder: &TempDir, url: &str) -> Start {
    Start::in_folder(folder.path()).args(["--dev", "--database-url", url])
}

/// The soft limit that a shell or a service manager gives is raised to the hard one, and that is said.
#[test]
fn a_server_takes_as_many_open_files_as_it_may() {
    let folder = folder();
    let low = "ulimit -Sn 256 && exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", low])
        .arg(gatekey())
        .args(["serve", "--dev", "--database-url", "postgres://127.0.0.1:1/none", "--start-timeout", "0"])
        .args(["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("the limit of open files is raised from=256 to="), "{said}");
}

async fn http(server: &Server, path: &str) -> u16 {
    let answer = reqwest::get(format!("http://{}/{path}", server.http)).await.expect("an answer");
    answer.status().as_u16()
}

/// It lives, says so, and can do nothing else.
async fn waits(begun: &mut Begun, folder: &TempDir) {
    begun.lives().await;
    for service in ["gatekey.v1.TokenService", "envoy.service.auth.v3.Authorization"] {
        assert_eq!(begun.health(service).await, Some(ServingStatus::NotServing), "{service}");
    }
    let server = &begun.server;
    assert_eq!((http(server, "livez").await, http(server, "readyz").await), (200, 503));
    let jwt = dev_token(folder.path(), &["--role", "developer", "--role", "verifier", "--tenant", "acme"]);
    let client = server.client_with(&jwt);
    let value = "gk_b_vZ9YpZhu";
    for refused in [client.list(0, "").await.err(), client.delete(1).await.err()] {
        let refused = refused.expect("nobody can tell");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "gatekey/STORE_UNAVAILABLE")
        );
    }
    assert!(client.verify(value).await.is_ok(), "what is malformed is so without a store");
    let answer =
        reqwest::Client::new().get(format!("http://{}/api/v3/tokens", server.http)).bearer_auth(&jwt);
    assert_eq!(answer.send().await.expect("an answer").status().as_u16(), 503);
    assert!(begun.is_silent(), "whoever waits for its line waits for a server that works");
}

async fn works(server: &Server, folder: &TempDir) {
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    client.create_batch("at last").await;
    assert_eq!((http(server, "livez").await, http(server, "readyz").await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_its_postgres() {
    let folder = folder();
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    cluster.stop();
    // A password that nobody asks for, and nobody shows.
    let url = database.url.replacen("postgres@", "postgres:hunter2@", 1);
    assert!(url.contains("hunter2"));
    let mut begun = on(&folder, &url).begin();
    waits(&mut begun, &folder).await;
    begun.logs("waits for the store").await;
    let log = begun.server.log();
    assert!(log.contains("127.0.0.1") && !log.contains("hunter2"), "{log}");
    cluster.resume();
    let server = begun.listening();
    works(&server, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_its_schema() {
    let folder = folder();
    let database = Database::new().await;
    let mut begun = on(&folder, &database.url).begin();
    waits(&mut begun, &folder).await;
    begun.logs("gatekey migrate").await;
    database.migrate();
    let server = begun.listening();
    works(&server, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_ends_when_it_is_asked_to() {
    let folder = folder();
    let mut begun = on(&folder, "postgres://postgres@127.0.0.1:1/gatekey").begin();
    begun.lives().await;
    assert_eq!(begun.server.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_wait_for_ever() {
    let folder = folder();
    let start = on(&folder, "postgres://postgres@127.0.0.1:1/gatekey").args(["--start-timeout", "1"]);
    let output = start.refused();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("waits for the store") && said.contains("cannot connect"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_waiting_mends_is_said_at_once() {
    let folder = folder();
    let database = Database::new().await;
    let (server, _) = database.url.rsplit_once('/').expect("a database");
    let (_, host) = server.rsplit_once('@').expect("a role");
    database.migrate();
    let role = format!("r{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    for (url, why) in [
        (format!("postgres://nobody_of_this_name@{host}/{}", database.name()), "does not exist"),
        (format!("{server}/no_such_database"), "does not exist"),
        (format!("postgres://{role}@{host}/{}", database.name()), "permission denied"),
    ] {
        let output = on(&folder, &url).refused();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains(why) && !said.contains("waits for the store"), "{said}");
    }
    database.execute(&format!("DROP ROLE {role}")).await;
}

/// As systemd is, by `Type=notify`.
#[test]
fn a_supervisor_is_told_when_it_can_be_called_and_when_it_ends() {
    let folder = folder();
    let socket = folder.path().join("notify");
    let told = UnixDatagram::bind(&socket).expect("a socket");
    told.set_read_timeout(Some(ROOMY)).expect("a bound");
    let mut server = Command::new(gatekey())
        .args(["serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .env("NOTIFY_SOCKET", &socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let next = || {
        let mut text = [0; 64];
        let length = told.recv(&mut text).expect("it is told");
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    assert_eq!(next(), "READY=1");
    let asked = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
    assert!(asked.expect("kill runs").success());
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(server.wait().expect("it ends").code(), Some(0));
}
