//! Development mode keeps to this machine, whatever name or proxy a caller comes by.

use std::process::Command;

use gatekey_e2e::{Server, Start, gatekey, reason};
use gatekey_proto::v1::ListTokensRequest;
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Endpoint;

fn server() -> (TempDir, Server) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).start();
    (folder, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn http_takes_loopback_names_only() {
    let (_folder, server) = server();
    let client = reqwest::Client::new();
    let get = |host: &'static str, header: Option<&'static str>| {
        let request = client.get(format!("http://{}/readyz", server.http)).header("host", host);
        let request = header.into_iter().fold(request, |request, name| request.header(name, "203.0.113.7"));
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!(get("localhost", None).await, 200);
    assert_eq!(get("evil.example", None).await, 403);
    assert_eq!(get("localhost.evil.example:8080", None).await, 403);
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "via"] {
        assert_eq!(get("localhost", Some(header)).await, 403, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_takes_loopback_names_only() {
    let (folder, server) = server();
    let client = server.client(folder.path(), &["developer"], "acme");
    let mut forwarded = client.request(ListTokensRequest::default());
    forwarded.metadata_mut().insert("x-forwarded-for", "203.0.113.7".parse().expect("text"));
    let status = TokenServiceClient::new(client.channel()).list_tokens(forwarded).await.expect_err("refused");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "gatekey/LOOPBACK_ONLY"));

    let channel = Endpoint::from_shared(format!("http://{}", server.grpc))
        .expect("a URI")
        .origin("http://evil.example".parse().expect("a URI"))
        .connect_lazy();
    let request = client.request(ListTokensRequest::default());
    let status = TokenServiceClient::new(channel).list_tokens(request).await.expect_err("refused");
    assert_eq!(reason(&status), "gatekey/LOOPBACK_ONLY");
    assert!(client.list(0, "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_of_another_folder_is_not_taken() {
    let (_folder, ours) = server();
    let (other, _theirs) = server();
    let client = ours.client(other.path(), &["developer"], "acme");
    let status = client.list(0, "").await.expect_err("refused");
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[test]
fn a_folder_without_a_server_gives_no_jwt() {
    let folder = TempDir::new().expect("a folder");
    let mistyped = folder.path().join("mistyped");
    let output = Command::new(gatekey()).args(["dev-token", "--data-dir"]).arg(&mistyped).output();
    let output = output.expect("it runs");
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no signing key"));
    assert!(!mistyped.exists(), "nothing was made");
}

/// The JWT of the start-up message works, and standard output has nothing but the one line.
#[tokio::test(flavor = "multi_thread")]
async fn the_start_up_message_has_a_jwt_that_works() {
    let (_folder, server) = server();
    let log = server.log();
    let jwt = log.split("GATEKEY_JWT='").nth(1).and_then(|rest| rest.split('\'').next()).expect("a JWT");
    let client = server.client_with(jwt);
    let (_, value) = client.create_batch("a").await;
    assert_eq!(client.verdict(&value).await, gatekey_proto::v1::Verdict::Active);
}
