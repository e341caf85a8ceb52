//! The programs, without a Gatekey.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use gatekey_examples::v1::DescribeRequest;
use gatekey_examples::v1::batch_service_client::BatchServiceClient;
use gatekey_interceptor::{FakeGatekey, TokenType};
use tonic::{Code, Request};

const GRPC: &str = env!("CARGO_BIN_EXE_transcribe-grpc");
const HTTP: &str = env!("CARGO_BIN_EXE_transcribe-http");

/// A running program, killed when dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program)
            // Nobody listens there.
            .args(["--addr", "127.0.0.1:0", "--gatekey", "http://127.0.0.1:1"])
            .env("GATEKEY_JWT", "a.b.c")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("where it listens").to_owned();
        Self { child, url }
    }

    /// Ends it in good order, and gives what it said to people.
    fn stop(mut self) -> String {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(killed.success());
        assert!(self.child.wait().expect("it ends").success());
        let mut said = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn request(value: &str) -> Request<DescribeRequest> {
    let mut request = Request::new(DescribeRequest {});
    request.metadata_mut().insert("authorization", format!("Bearer {value}").parse().expect("a header"));
    request
}

// A client answers when its server says goodbye, while the test waits for the server's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gatekey_nobody_can_tell_and_it_ends_in_good_order() {
    let value = FakeGatekey::start().token(TokenType::Batch).mint();

    let process = Process::start(GRPC);
    let mut client = BatchServiceClient::connect(process.url.clone()).await.expect("it listens");
    assert_eq!(client.describe(request(&value)).await.expect_err("nobody knows").code(), Code::Unavailable);
    drop(client);
    let said = process.stop();
    assert!(said.contains("grpcurl -plaintext") && said.contains("no lease"), "{said}");
    assert!(!said.contains(&value), "a token value was logged");

    let process = Process::start(HTTP);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let get = async |path: &str| {
        let request = client.get(format!("{}{path}", process.url)).bearer_auth(&value);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((get("/livez").await, get("/v1/batch/caller").await), (200, 503));
    let said = process.stop();
    assert!(said.contains("curl -i"), "{said}");
    assert!(!said.contains(&value), "a token value was logged");
}

#[test]
fn a_wrong_setting_is_told() {
    for program in [GRPC, HTTP] {
        let output = Command::new(program).env_remove("GATEKEY_JWT").output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("--jwt-file"), "{said}");
    }
}
