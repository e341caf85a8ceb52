//! The services as their clients see them, each behind the interceptor and a Gatekey for tests.

mod grpc;
mod http;
mod process;
mod websocket;

use std::future::pending;
use std::net::SocketAddr;

use gatekey_interceptor::FakeGatekey;
use tokio::net::TcpListener;

/// Serves `transcribe.v1` for as long as the test runs.
async fn start_grpc(fake: &FakeGatekey) -> SocketAddr {
    let (listener, address) = listen().await;
    let gatekey = fake.gatekey();
    tokio::spawn(async { gatekey_examples::serve_grpc(listener, gatekey, pending()).await.expect("served") });
    address
}

/// Serves HTTP for as long as the test runs.
async fn start_http(fake: &FakeGatekey) -> SocketAddr {
    let (listener, address) = listen().await;
    let gatekey = fake.gatekey();
    tokio::spawn(async { gatekey_examples::serve_http(listener, gatekey, pending()).await.expect("served") });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// More than what all the buffers between a client and a handler hold: once it is sent, the handler reads.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 256;
