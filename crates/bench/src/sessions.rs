//! Many watching sessions on one replica: what each takes of the server's memory, and how long a delete waits for all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gatekey_e2e::{Client, Server};
use gatekey_proto::v1;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::watch_request::Event as Up;
use gatekey_proto::v1::watch_response::Event as Down;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::scene::Scene;
use crate::table::{Line, median, print};

/// Long, so that renewals take little of the two cores that client and server share.
const LEASE: Duration = Duration::from_mins(1);
const DELETES: usize = 9;

/// Sessions that have a lease.
type Leased = Arc<AtomicUsize>;

pub(crate) async fn run(connections: usize, each: usize) {
    let mut lines = Vec::new();
    for (connections, each) in [(connections, each), (connections * each, 1)] {
        eprintln!("{connections} connections with {each} sessions each");
        lines.extend(measure(connections, each).await);
    }
    print(&lines);
}

async fn measure(connections: usize, each: usize) -> Vec<Line> {
    let sessions = connections * each;
    let Scene { folder, server } = Scene::with(LEASE).await;
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    warm_up(&client).await;
    let before = server.resident_kib();
    let leased = Leased::default();
    let opening = Instant::now();
    open(&server, &client, connections, each, &leased).await;
    while leased.load(Ordering::Relaxed) < sessions {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("{sessions} sessions have a lease after {:.1} s", opening.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 KiB")]
    let memory = (server.resident_kib() - before) as f64 / sessions as f64;
    let mut times = Vec::new();
    for _ in 0..DELETES {
        let (token, _) = client.create_batch("benchmark").await;
        let started = Instant::now();
        let receipt = client.delete(token.id).await.expect("a receipt");
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(usize::try_from(receipt.holders_confirmed), Ok(sessions), "{receipt:?}");
        assert_eq!(receipt.leases_waited_out, 0);
    }
    let goal = each > 1;
    vec![
        Line {
            what: format!("server memory a watching session, {connections} connections × {each}"),
            figure: format!("{memory:.1} KiB"),
            peer: String::new(),
            ratio: None,
            goal: if goal { "≤ 16 KiB" } else { "a figure only" },
            met: goal.then_some(memory <= 16.0),
        },
        Line {
            what: format!("DeleteToken confirmed by all {sessions}, p50 of {DELETES}"),
            figure: format!("{:.0} ms", median(times.clone())),
            peer: format!("the longest {:.0} ms", times.iter().copied().fold(0.0, f64::max)),
            ratio: None,
            goal: "a figure only",
            met: None,
        },
    ]
}

async fn warm_up(client: &Client) {
    for _ in 0..20 {
        let (token, value) = client.create_batch("benchmark").await;
        client.verdict(&value).await;
        client.delete(token.id).await.expect("a receipt");
    }
}

async fn open(server: &Server, client: &Client, connections: usize, each: usize, leased: &Leased) {
    for number in 0..connections {
        let channel = connect(server.grpc).await;
        for stream in 0..each {
            let holder = (number * each + stream) as u128 + 1;
            tokio::spawn(session(channel.clone(), client.clone(), holder, Arc::clone(leased)));
        }
    }
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    endpoint.tcp_nodelay(true).connect().await.expect("the server is there")
}

/// A holder without a cache: confirms what it is told, and keeps its lease.
async fn session(channel: Channel, client: Client, holder: u128, leased: Leased) {
    let (sender, requests) = mpsc::channel(8);
    let say = |event| sender.send(v1::WatchRequest { event: Some(event) });
    let hello = v1::Hello { holder: holder.to_be_bytes().to_vec(), position: None, stream: 1, epoch: 0 };
    say(Up::Hello(hello)).await.expect("the stream is there");
    let mut service = RevocationServiceClient::new(channel);
    let answer = service.watch(client.request(ReceiverStream::new(requests))).await.expect("a stream");
    let mut messages = answer.into_inner();
    let (mut reset_id, mut renews, mut had) = (0, 0, false);
    let mut renewal = tokio::time::interval(LEASE / 5);
    renewal.tick().await;
    loop {
        let message = tokio::select! {
            message = messages.message() => match message {
                Ok(Some(message)) => message,
                // The measurement is over.
                _ => return,
            },
            _ = renewal.tick() => {
                renews += 1;
                if say(Up::Renew(v1::Renew { id: renews, reset_id })).await.is_err() {
                    return;
                }
                continue;
            }
        };
        match message.event.expect("an event") {
            Down::Reset(reset) => {
                reset_id = reset.id;
                say(Up::Ack(v1::Ack { position: reset.position, reset_id }))
                    .await
                    .expect("the stream is there");
                renews += 1;
                say(Up::Renew(v1::Renew { id: renews, reset_id })).await.expect("the stream is there");
            }
            Down::Invalidate(told) => {
                say(Up::Ack(v1::Ack { position: told.position, reset_id }))
                    .await
                    .expect("the stream is there");
            }
            // These measure no server that ends.
            Down::Leave(_) => return,
            Down::Grant(_) => {
                if !std::mem::replace(&mut had, true) {
                    leased.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}
