//! Lines of the log say which call they are about, in JSON and in text, and no others do.

use gatekey_e2e::{Client, Server, Start};
use gatekey_proto::v1::CreateTokenRequest;
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use serde_json::Value;
use tempfile::TempDir;

const CREATE: &str = "/gatekey.v1.TokenService/CreateToken";

fn setting(format: &str) -> (TempDir, Server, Client) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--log-format", format]).start();
    let client = server.client(folder.path(), &["developer"], "acme");
    (folder, server, client)
}

/// A good call and a bad one over gRPC, and one over HTTP, each with an id of ours.
async fn call(server: &Server, client: &Client) {
    for (id, name, good) in [("call-1", "name", true), ("call-2", "", false)] {
        let message = CreateTokenRequest {
            name: name.to_owned(),
            r#type: 1,
            years_valid: 1,
            request_id: String::new(),
        };
        let mut request = client.request(message);
        request.metadata_mut().insert("x-request-id", id.parse().expect("ASCII"));
        let answer = TokenServiceClient::new(client.channel()).create_token(request).await;
        assert_eq!(answer.is_ok(), good);
    }
    let http = reqwest::Client::new().get(format!("http://{}/api/v3/tokens/7", server.http));
    let answer = http.header("x-request-id", "call-3").send().await.expect("an answer");
    assert!(answer.status().is_client_error());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_in_json_say_which_call_they_are_about() {
    let (_folder, mut server, client) = setting("json");
    call(&server, &client).await;
    server.terminate();
    let log = server.log();
    // In development mode there is a welcome, too, which is no log.
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> =
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let of = |id: &str| lines.iter().filter(|line| line["call.id"] == id).collect::<Vec<_>>();
    for (id, path, message) in [
        ("call-1", CREATE, "token created"),
        ("call-1", CREATE, "answered"),
        ("call-2", CREATE, "answered"),
        ("call-3", "/api/v3/tokens/7", "answered"),
    ] {
        let line = of(id).into_iter().find(|line| line["message"] == message);
        let line = line.unwrap_or_else(|| panic!("{id}: {message}\n{log}"));
        assert_eq!(line["call.path"], path);
    }
    assert!(
        lines.iter().any(|line| line["message"] == "has a lease" && line.get("call.id").is_none()),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_in_text_say_which_call_they_are_about() {
    let (_folder, mut server, client) = setting("text");
    call(&server, &client).await;
    server.terminate();
    let log = server.log();
    let end = format!(" call.id=call-1 call.path={CREATE}");
    assert!(log.lines().any(|line| line.contains("token created") && line.ends_with(&end)), "{log}");
    assert!(log.lines().any(|line| line.contains("has a lease") && !line.contains("call.id")), "{log}");
}
