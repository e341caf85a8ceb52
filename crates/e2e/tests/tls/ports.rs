//! The port for probes, the commands that call a server with TLS, and what development mode prints.

use std::process::Command;

use gatekey_e2e::{Client, Start, TestAuthority, dev_token, gatekey};
use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use tonic::Code;
use tonic::transport::Endpoint;

use super::Setting;

#[tokio::test(flavor = "multi_thread")]
async fn the_health_port_has_health_and_nothing_else() {
    let setting = Setting::new();
    let mut server = setting.start_with(&["--health-addr", "127.0.0.1:0"]);
    let address = server.health.expect("it serves health");
    let plain = Client::over(Endpoint::from_shared(format!("http://{address}")).expect("a URI"), None);
    let request = || HealthCheckRequest { service: "gatekey.v1.TokenService".to_owned() };
    let answer = plain.health().check(request()).await.expect("an answer");
    assert_eq!(answer.get_ref().status(), ServingStatus::Serving);
    let with_jwt = Client::over(
        Endpoint::from_shared(format!("http://{address}")).expect("a URI"),
        Some(&setting.developer_jwt()),
    );
    assert_eq!(with_jwt.list(0, "").await.expect_err("not there").code(), Code::Unimplemented);
    for (path, status) in
        [("livez", 200), ("readyz", 200), ("", 404), ("api/v3/tokens", 404), ("metrics", 404)]
    {
        let answer = reqwest::get(format!("http://{address}/{path}")).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    let probe = Command::new(gatekey()).args(["health", "--grpc-addr", &address.to_string()]).output();
    assert_eq!(probe.expect("it runs").status.code(), Some(0));
    // It says that the server drains, and the drain waits for no watch of it.
    let mut watch = plain.health().watch(request()).await.expect("a watch").into_inner();
    assert_eq!(watch.message().await.expect("no error").expect("one").status(), ServingStatus::Serving);
    server.signal("TERM");
    assert_eq!(watch.message().await.expect("no error").expect("one").status(), ServingStatus::NotServing);
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_without_tls_has_its_port_too() {
    let setting = Setting::new();
    let server = Start::in_folder(setting.path()).args(["--health-addr", "127.0.0.1:0"]).start();
    let address = server.health.expect("it serves health");
    let answer = reqwest::get(format!("http://{address}/readyz")).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    // In development mode it is for this machine, as everything is.
    let named = reqwest::Client::new().get(format!("http://{address}/livez")).header("host", "evil.example");
    assert_eq!(named.send().await.expect("an answer").status().as_u16(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_of_the_binary_speaks_tls() {
    let setting = Setting::new();
    let server = setting.start();
    setting.replace("servers.crt", &setting.servers.pem());
    setting.replace("others.crt", &TestAuthority::new().pem());
    let probe = |args: &[&str]| {
        let address = server.grpc.to_string();
        let mut command = Command::new(gatekey());
        command.current_dir(setting.path()).args(["health", "--grpc-addr", &address]).args(args);
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    assert_eq!(probe(&["--ca-file", "servers.crt"]).0, Some(0));
    assert_eq!(probe(&["--ca-file", "servers.crt", "--server-name", "localhost"]).0, Some(0));
    setting.clients.client(&[super::VERIFIER]).write(setting.path(), "client");
    let identity = ["--ca-file", "servers.crt", "--cert-file", "client.crt", "--key-file", "client.key"];
    assert_eq!(probe(&identity).0, Some(0));
    for (args, code, said) in [
        (&["--ca-file", "others.crt"][..], 1, "invalid peer certificate"),
        (&["--ca-file", "servers.crt", "--server-name", "elsewhere"], 1, "not valid for name"),
        (&["--ca-file", "nowhere.crt"], 2, "--ca-file: nowhere.crt"),
        (&["--cert-file", "client.crt"], 2, "--cert-file: there is no TLS without --ca-file"),
        (&[], 1, "can't be reached"),
    ] {
        let (found, stderr) = probe(args);
        assert!(found == Some(code) && stderr.contains(said), "{args:?}: {found:?} {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn development_mode_and_the_canary_go_with_tls() {
    let setting = Setting::new();
    let server = setting.with_tls(Start::in_folder(setting.path())).start();
    let log = server.log();
    for line in [format!("https://{}/", server.http), "grpcurl -cacert '".to_owned()] {
        assert!(log.contains(&line), "{line}: {log}");
    }
    assert!(!log.contains("-plaintext"), "{log}");
    setting.replace("servers.crt", &setting.servers.pem());
    let canary = |endpoint: &str| {
        let mut command = Command::new(gatekey());
        command
            .args(["canary", "--count", "2", "--interval", "0", "--ca-file"])
            .arg(setting.path().join("servers.crt"));
        command.args(["--endpoint", endpoint]).env("GATEKEY_JWT", dev_token(setting.path(), &[]));
        command.output().expect("it runs")
    };
    let output = canary(&format!("https://{}", server.grpc));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
