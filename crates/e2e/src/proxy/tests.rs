use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::ROOMY;

/// Long enough for a byte to arrive that is not held back, short enough to wait for one that is.
const MOMENT: Duration = Duration::from_millis(100);

/// An upstream that answers each byte with the next.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = client.read_u8().await {
                    if client.write_u8(byte.wrapping_add(1)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn proxied() -> (FaultProxy, TcpStream) {
    let proxy = FaultProxy::start(upstream().await).await;
    let client = TcpStream::connect(proxy.address()).await.expect("it connects");
    (proxy, client)
}

async fn asked(client: &mut TcpStream, byte: u8) -> u8 {
    client.write_u8(byte).await.expect("it is sent");
    answered(client).await
}

async fn answered(client: &mut TcpStream) -> u8 {
    timeout(ROOMY, client.read_u8()).await.expect("in time").expect("an answer")
}

async fn closed(client: &mut TcpStream) -> bool {
    timeout(ROOMY, client.read_u8()).await.expect("in time").is_err()
}

#[tokio::test]
async fn a_whole_link_carries_both_ways() {
    let (_proxy, mut client) = proxied().await;
    for byte in 0..10 {
        assert_eq!(asked(&mut client, byte).await, byte + 1);
    }
}

#[tokio::test]
async fn what_is_stalled_arrives_when_the_link_is_whole_again() {
    for link in [Link::STALLED, Link::DEAF, Link::MUTE] {
        let (proxy, mut client) = proxied().await;
        assert_eq!(asked(&mut client, 1).await, 2);
        proxy.set(link);
        client.write_u8(7).await.expect("the connection stays open");
        assert!(timeout(MOMENT, client.read_u8()).await.is_err(), "{link:?}");
        proxy.heal();
        assert_eq!(answered(&mut client).await, 8, "{link:?}");
    }
}

#[tokio::test]
async fn one_way_can_be_stalled_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = FaultProxy::start(listener.local_addr().expect("bound")).await;
    let mut client = TcpStream::connect(proxy.address()).await.expect("it connects");
    let (mut upstream, _) = listener.accept().await.expect("through the proxy");

    proxy.set(Link::DEAF);
    client.write_u8(1).await.expect("it is sent");
    upstream.write_u8(2).await.expect("it is sent");
    assert_eq!(answered(&mut client).await, 2);
    assert!(timeout(MOMENT, upstream.read_u8()).await.is_err());

    proxy.set(Link::MUTE);
    assert_eq!(answered(&mut upstream).await, 1);
    upstream.write_u8(3).await.expect("it is sent");
    assert!(timeout(MOMENT, client.read_u8()).await.is_err());
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_what_is_opened() {
    let (proxy, mut client) = proxied().await;
    assert_eq!(asked(&mut client, 1).await, 2);
    proxy.set(Link::CUT);
    assert!(closed(&mut client).await);
    if let Ok(mut another) = TcpStream::connect(proxy.address()).await {
        assert!(closed(&mut another).await);
    }
    proxy.heal();
    let mut again = TcpStream::connect(proxy.address()).await.expect("it connects");
    assert_eq!(asked(&mut again, 1).await, 2);
}

#[tokio::test]
async fn a_stalled_link_can_be_cut() {
    let (proxy, mut client) = proxied().await;
    proxy.set(Link::STALLED);
    client.write_u8(1).await.expect("the connection stays open");
    proxy.set(Link::CUT);
    assert!(closed(&mut client).await);
}

#[tokio::test]
async fn a_delay_is_kept_each_way() {
    let (proxy, mut client) = proxied().await;
    proxy.set(Link::slow(MOMENT));
    let asked_at = Instant::now();
    assert_eq!(asked(&mut client, 1).await, 2);
    assert!(asked_at.elapsed() >= 2 * MOMENT);
}

#[tokio::test]
async fn an_upstream_that_is_gone_closes_the_connection_and_a_new_one_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Upstream::new(listener.local_addr().expect("bound"));
    drop(listener);
    let proxy = FaultProxy::start(target.clone()).await;
    let mut client = TcpStream::connect(proxy.address()).await.expect("it connects");
    assert!(closed(&mut client).await);
    target.set(upstream().await);
    let mut client = TcpStream::connect(proxy.address()).await.expect("it connects");
    assert_eq!(asked(&mut client, 1).await, 2);
}

#[tokio::test]
async fn the_end_of_one_way_is_passed_on() {
    let (_proxy, mut client) = proxied().await;
    assert_eq!(asked(&mut client, 1).await, 2);
    client.shutdown().await.expect("it ends its way");
    assert!(closed(&mut client).await);
}

#[tokio::test]
async fn its_connections_close_with_it() {
    let (proxy, mut client) = proxied().await;
    assert_eq!(asked(&mut client, 1).await, 2);
    drop(proxy);
    assert!(closed(&mut client).await);
}

#[tokio::test]
async fn the_news_of_an_end_is_stalled_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = FaultProxy::start(listener.local_addr().expect("bound")).await;
    let client = TcpStream::connect(proxy.address()).await.expect("it connects");
    let (mut upstream, _) = listener.accept().await.expect("through the proxy");
    proxy.set(Link::DEAF);
    drop(client);
    // What is written now has nowhere to go, and that is not to be learnt either.
    upstream.write_u8(1).await.expect("it is sent");
    upstream.write_u8(2).await.expect("it is sent");
    assert!(timeout(MOMENT, upstream.read_u8()).await.is_err());
    proxy.heal();
    assert!(closed(&mut upstream).await);
}
