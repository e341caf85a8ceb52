//! Calls that no client library makes by itself, and secrets where none belong: each has an answer of
//! the error table, and nothing of it reaches a log.

use std::time::Duration;

use gatekey_e2e::{Client, Raw, Server, Start, reason, violations};
use gatekey_model::PresentedToken;
use gatekey_proto::v1::{CreateTokenRequest, TokenType, Verdict};
use tempfile::TempDir;
use tonic::{Code, Status};

fn setting(args: &[&str]) -> (TempDir, Server, Client) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(args.iter().copied()).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    (folder, server, client)
}

async fn send(client: &Client, path: &str, message: Vec<u8>) -> Status {
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.expect("the server is there");
    let request = client.request(futures_util::stream::iter([message]));
    let answer = grpc.streaming(request, path.parse().expect("a path"), Raw).await;
    answer.expect_err("refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_is_said_by_the_table() {
    let (_folder, _server, client) = setting(&[]);
    let verify = "/gatekey.v1.TokenService/VerifyToken";
    let cases = [
        ("not UTF-8", verify, vec![0x0a, 2, 0xff, 0xfe], Code::InvalidArgument, "gatekey/REQUEST_UNREADABLE"),
        ("cut off", verify, vec![0x0a, 200], Code::InvalidArgument, "gatekey/REQUEST_UNREADABLE"),
        ("too long", verify, vec![0; 20_000], Code::ResourceExhausted, "gatekey/REQUEST_TOO_LARGE"),
        (
            "no such method",
            "/gatekey.v1.TokenService/Peek",
            Vec::new(),
            Code::Unimplemented,
            "gatekey/NOT_OFFERED",
        ),
    ];
    for (case, path, message, code, expected) in cases {
        let status = send(&client, path, message).await;
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{case}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflection_stream_does_not_hold_up_the_end() {
    let (_folder, mut server, client) = setting(&["--drain-timeout", "3600"]);
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.expect("the server is there");
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".parse().expect("a path");
    let request = client.request(futures_util::stream::pending::<Vec<u8>>());
    let open = grpc.streaming(request, path, Raw).await.expect("it opens");
    assert_eq!(server.terminate().code(), Some(0));
    drop(open);
}

/// The whole of a server's log, at its most talkative, after a token value was put everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_value_anywhere_reaches_no_log() {
    let (folder, mut server, client) = setting(&["--log", "trace"]);
    let (_, value) = client.create_batch("a").await;
    assert_eq!(client.verdict(&value).await, Verdict::Active);

    let named = CreateTokenRequest {
        name: format!("my key {value}"),
        r#type: TokenType::Batch.into(),
        years_valid: 1,
        request_id: value.clone(),
    };
    let status = client.create(named).await.expect_err("refused");
    assert_eq!(violations(&status)[0].field, "name");
    assert!(!format!("{status:?}").contains(&value));
    let status = client.list(0, &value).await.expect_err("refused");
    assert!(!format!("{status:?}").contains(&value));

    let bearer = server.client_with(&value).list(0, "").await.expect_err("an API token is no credential");
    assert_eq!(bearer.code(), Code::Unauthenticated);
    send(&client, &format!("/gatekey.v1.TokenService/{value}"), Vec::new()).await;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
    let request =
        http.get(format!("http://{}/{value}?token={value}", server.http)).header("x-request-id", &value);
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 404);

    server.terminate();
    let log = server.log();
    assert!(log.contains("TRACE"), "it was talkative");
    let found: Vec<String> = PresentedToken::find_in(&log).map(|token| token.key().to_owned()).collect();
    assert!(found.is_empty(), "the log has the values of {found:?}");
    for file in ["gatekey.db", "gatekey.db-wal"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(value.len()).any(|window| window == value.as_bytes()), "{file} has the value");
    }
}
