//! Connections to the gRPC port come to an age: busy callers go on over others, and no call of theirs is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gatekey_e2e::{Client, HolderStart, Outcome, ROOMY, Server, Start, dev_token, sent};
use gatekey_model::{TokenPrefix, TokenType, TokenValue};
use gatekey_proto::v1::Verdict;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

/// A way to the server on which connections are counted.
async fn counted(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.expect("a connection");
            counting.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(server).await.expect("it is there");
                // It ends with either side.
                copy_bidirectional(&mut near, &mut far).await.ok();
            });
        }
    });
    (address, count)
}

/// A server whose connections live for a second, and the JWT of a verifier who is a developer, too.
fn setting() -> (TempDir, Server, String) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(["--connection-age", "1", "--log", "info"]).start();
    let jwt = dev_token(folder.path(), &["--role", "developer", "--role", "verifier", "--tenant", "acme"]);
    (folder, server, jwt)
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_callers_go_on_over_other_connections() {
    let (_folder, server, jwt) = setting();
    let (address, connections) = counted(server.grpc).await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    let client = Arc::new(Client::over(endpoint, Some(&jwt)));
    let (_, value) = client.create_batch("a").await;
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (client, value, connections) = (Arc::clone(&client), value.clone(), Arc::clone(&connections));
        callers.spawn(async move {
            let mut calls = 0;
            while connections.load(Ordering::SeqCst) < 5 {
                assert!(begun.elapsed() < ROOMY, "they stay on the same connection");
                let answer = sent(|| client.verify(&value)).await;
                let answer = answer.unwrap_or_else(|status| panic!("{calls}: {status}"));
                assert_eq!(answer.verdict(), Verdict::Active);
                calls += 1;
            }
            calls
        });
    }
    let calls: u64 = callers.join_all().await.into_iter().sum();
    assert!(calls > 0);
}

/// A service that has to ask about every token, since each is another, and whose only server closes its connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_on_and_on_is_always_answered() {
    let (_folder, server, jwt) = setting();
    let (address, connections) = counted(server.grpc).await;
    let holder = Arc::new(HolderStart { endpoints: vec![address], jwt }.start());
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (holder, connections) = (Arc::clone(&holder), Arc::clone(&connections));
        callers.spawn(async move {
            let mut checks = 0;
            while connections.load(Ordering::SeqCst) < 6 {
                assert!(begun.elapsed() < ROOMY, "it stays on the same connection");
                let prefix = TokenPrefix::default();
                let unknown = TokenValue::generate(&prefix, TokenType::Batch).expect("random numbers");
                let checked = holder.check(unknown.expose()).await;
                assert_eq!(checked.outcome, Outcome::Rejected, "check {checks}");
                checks += 1;
            }
            checks
        });
    }
    let checks: u64 = callers.join_all().await.into_iter().sum();
    assert!(checks > 0);
}
