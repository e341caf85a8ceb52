//! `gatekey doctor`: what is well is said to be, and each fault is made for real and found, in words that say what to do.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gatekey_e2e::{Cluster, Database, Said, Start, TestIssuer, command};
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// On ports that nobody has, with these settings.
fn doctor(settings: &[&str]) -> Said {
    let ports = ["doctor", "--json", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];
    tokio::task::block_in_place(|| command([&ports[..], settings].concat(), ""))
}

/// Whether it said this of that.
fn says(said: &Said, level: &str, what: &str, text: &str) -> bool {
    let is = |line: &Value| line["level"] == level && line["what"] == what;
    said.lines().iter().any(|line| is(line) && line["text"].as_str().is_some_and(|said| said.contains(text)))
}

#[track_caller]
fn must_say(said: &Said, level: &str, what: &str, text: &str) {
    assert!(says(said, level, what, text), "{level} {what}: {text}\n{}", said.out);
    assert_eq!(said.code, Some(i32::from(said.out.contains("\"level\":\"fail\""))), "{said:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

async fn migrated(cluster: &Cluster) -> Database {
    let database = cluster.database().await;
    database.migrate();
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_installation_on_postgres() {
    let folder = folder();
    let database = Database::new().await;
    database.migrate();
    let issuer = TestIssuer::new("https://login.example");
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, issuer.jwks()).expect("written");
    let url = folder.path().join("url");
    std::fs::write(&url, &database.url).expect("written");
    std::fs::set_permissions(&url, PermissionsExt::from_mode(0o600)).expect("it is ours");
    let issuer = ["--issuer", "https://login.example", "--audience", "gatekey", "--jwks", text(&keys)];
    let settings = [&issuer[..], &["--database-url-file", text(&url), "--lease", "2"]].concat();
    let server = Start::default().args(settings.iter().copied()).arg("--data-dir").arg(folder.path()).start();
    let ports = [server.grpc.to_string(), server.http.to_string()];
    let ports = ["--grpc-addr", &ports[0], "--http-addr", &ports[1]];
    let all = [&["doctor", "--json"], &settings[..], &ports[..]].concat();
    let said = tokio::task::block_in_place(|| command(all, ""));
    for (what, text) in [
        ("configuration", "callers of 1 issuers"),
        ("files", "is kept from others (600)"),
        ("store", "the primary; a round trip takes"),
        ("clock", "it differs from the database's by"),
        ("durability", "synchronous_commit = on"),
        ("connections", "one server takes up to 26"),
        ("listen", "another one hears"),
        ("schema", "the one that this program knows"),
        ("log", "the newest revocation is 0@"),
        ("replicas", "1 servers renew their leases; the longest lease is 2 s"),
        ("issuer", "https://login.example has 1 usable keys: 1 (EdDSA)"),
        ("ports", "--grpc-addr: a Gatekey serves at"),
        ("ports", "--http-addr: a Gatekey serves at"),
        ("lease clock", "CLOCK_BOOTTIME goes on"),
    ] {
        let durability = what == "durability" && says(&said, "fail", what, "fsync");
        // The cluster of the tests is started without fsync where that is faster: then that must be said.
        assert!(durability || says(&said, "ok", what, text), "{what}: {text}\n{}", said.out);
    }
    must_say(&said, "warn", "rights", "is SUPERUSER");
    must_say(&said, "warn", "replication", "a failover may lose acknowledged deletes");
    assert!(!said.out.contains(&database.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_postgres() {
    let cluster = Cluster::start();
    let database = migrated(&cluster).await;
    let settings = |url: &str| doctor(&["--dev", "--database-url", url, "--data-dir", "/nonexistent/data"]);

    let empty = cluster.database().await;
    must_say(&settings(&empty.url), "fail", "schema", "run `gatekey migrate`");

    database.execute("CREATE ROLE poor LOGIN PASSWORD 'right'").await;
    database.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO poor").await;
    database.execute("REVOKE UPDATE ON head FROM poor").await;
    let as_poor = |password: &str| database.url.replace("postgres@", &format!("poor:{password}@"));
    let said = settings(&as_poor("right"));
    must_say(&said, "fail", "rights", "the role poor lacks UPDATE on head");
    database.execute("GRANT UPDATE ON head TO poor").await;
    must_say(&settings(&as_poor("right")), "ok", "rights", "no superuser");
    database.execute("ALTER ROLE poor CONNECTION LIMIT 9").await;
    let said = doctor(&["--dev", "--database-url", &as_poor("right"), "--database-connections", "4"]);
    must_say(&said, "warn", "connections", "one server takes up to 10: raise");
    database.execute("ALTER ROLE poor CONNECTION LIMIT -1").await;

    // By functions that are found before the system's own.
    database.execute("CREATE SCHEMA odd").await;
    database
        .execute(
            "CREATE FUNCTION odd.clock_timestamp() RETURNS timestamptz LANGUAGE sql
             AS $$SELECT pg_catalog.clock_timestamp() + interval '1 minute'$$",
        )
        .await;
    database.execute("CREATE FUNCTION odd.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'").await;
    let name = database.name();
    database.execute(&format!("ALTER DATABASE {name} SET search_path TO odd, pg_catalog, public")).await;
    let said = settings(&database.url);
    must_say(&said, "warn", "clock", "s behind the database's");
    must_say(&said, "warn", "listen", "a notification was not heard");
    database.execute(&format!("ALTER DATABASE {name} RESET search_path")).await;

    database.execute("INSERT INTO replica (id, n, lease_ms) VALUES (decode(md5('a'), 'hex'), 1, 2000)").await;
    must_say(&settings(&database.url), "warn", "replicas", "1 rows stand still");

    database.execute("ALTER SYSTEM SET fsync = off").await;
    database.execute("SELECT pg_reload_conf()").await;
    must_say(&settings(&database.url), "fail", "durability", "loses deletes");

    database
        .execute("COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO PROGRAM 'cat > pg_hba.conf'")
        .await;
    database.execute("SELECT pg_reload_conf()").await;
    let said = settings(&as_poor("wrong"));
    must_say(&said, "fail", "store", "password authentication failed");
    assert!(!said.out.contains("wrong"), "no password is shown: {said:?}");

    tokio::task::block_in_place(|| cluster.stop());
    must_say(&settings(&database.url), "fail", "store", "cannot connect to Postgres at 127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_waited_for_in_vain() {
    let cluster = Cluster::start();
    let database = migrated(&cluster).await;
    database.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    database.execute("SELECT pg_reload_conf()").await;
    let said = doctor(&["--dev", "--database-url", &database.url]);
    must_say(&said, "fail", "replication", "no standby is attached: commits wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_beside_a_server_and_without() {
    let folder = folder();
    let data = folder.path().join("data");
    let settings = ["--data-dir", text(&data)];
    let said = doctor(&settings);
    must_say(&said, "ok", "store", "the first start makes it");
    assert!(!data.exists(), "it changes nothing");

    let mut server = Start::in_folder(&data).start();
    let said = doctor(&settings);
    must_say(&said, "ok", "lock", "it runs, and no second one can");
    must_say(&said, "ok", "schema", "the one that this program knows");
    must_say(&said, "ok", "disk", "MiB are free");
    must_say(&said, "ok", "files", "its owner's alone");
    server.terminate();
    let said = doctor(&settings);
    must_say(&said, "ok", "lock", "no server has");
    must_say(&said, "ok", "store", "can be written to");
    // Nobody can write to a folder as to a file.
    for (name, text) in [("gatekey.db-wal", "cannot write to"), ("gatekey.db.lock", "cannot lock")] {
        let odd = data.join(name);
        if odd.exists() {
            std::fs::remove_file(&odd).expect("it is ours");
        }
        std::fs::create_dir(&odd).expect("made");
        must_say(&doctor(&settings), "fail", "store", text);
        let refused = Start::in_folder(&data).refused();
        assert!(String::from_utf8_lossy(&refused.stderr).contains(text), "{refused:?}");
        std::fs::remove_dir(&odd).expect("it is ours");
    }
    let _again = Start::in_folder(&data).start();

    let key = data.join("dev-signing-key.pk8");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("it is ours");
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let said = doctor(&settings);
    must_say(&said, "fail", "files", "chmod 600");
    must_say(&said, "warn", "files", "chmod 700");

    let odd = folder.path().join("odd.db");
    std::fs::write(
        &odd,
        "not a database, and longer than the header of one, which has a hundred bytes: ".repeat(4),
    )
    .expect("written");
    let url = format!("sqlite:{}", odd.display());
    must_say(&doctor(&["--dev", "--database-url", &url]), "fail", "store", "is not a SQLite database");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_issuers_and_ports() {
    let folder = folder();
    let said = doctor(&["--lease", "1", "--token-prefix", "G", "--data-dir", text(folder.path())]);
    must_say(&said, "fail", "configuration", "--lease: must be 2 to 120 seconds");
    must_say(&said, "fail", "configuration", "--token-prefix");
    must_say(&said, "ok", "store", "the first start makes it");

    let url = folder.path().join("url");
    std::fs::write(&url, "sqlite:x.db").expect("written");
    std::fs::set_permissions(&url, PermissionsExt::from_mode(0o644)).expect("it is ours");
    let said = doctor(&["--dev", "--database-url-file", text(&url)]);
    must_say(&said, "warn", "files", "everybody on this machine can reach");

    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let jwks = format!("http://{}/keys", nobody.local_addr().expect("bound"));
    let issuer = |jwks: &str| {
        let issuer = ["--issuer", "https://login.example", "--audience", "gatekey", "--jwks", jwks];
        doctor(&[&issuer[..], &["--data-dir", text(folder.path())]].concat())
    };
    drop(nobody);
    must_say(&issuer(&jwks), "fail", "issuer", "the keys of https://login.example can't be had");
    let useless = folder.path().join("keys.json");
    std::fs::write(&useless, r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#).expect("written");
    must_say(&issuer(text(&useless)), "fail", "issuer", "no key for an asymmetric signature");

    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("bound").to_string();
    let said = command(
        [
            "doctor",
            "--json",
            "--data-dir",
            text(folder.path()),
            "--metrics-addr",
            &taken,
            "--grpc-addr",
            "127.0.0.1:0",
            "--http-addr",
            "127.0.0.1:0",
        ],
        "",
    );
    must_say(&said, "warn", "ports", "is taken, by something that does not answer");

    let plain = command(["doctor", "--lease", "1", "--data-dir", text(folder.path())], "");
    assert!(plain.out.starts_with("FAIL  configuration: --lease"), "{plain:?}");
    assert!(plain.err.contains("1 failed"), "{plain:?}");
}
