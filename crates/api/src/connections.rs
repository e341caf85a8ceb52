//! Takes connections, and does not let strangers use up the server: there is a bound on how many are
//! open, a new one has to say something soon, and a lack of file descriptors is waited out and logged.
//! Where TLS is on, `handshakes` comes next.

mod carrier;
mod handshakes;
mod incoming;
mod peer;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::transport::server::Connected;

use carrier::Carrier;

pub(crate) use incoming::Incoming;
pub(crate) use peer::Peer;

/// With HTTP/2, how many calls may be under way on one connection.
pub(crate) const MAX_STREAMS_PER_CONNECTION: u32 = 100;
/// With HTTP/2, how often the other side is asked whether it is still there, and how long it may take to answer.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A new connection must send its first bytes within this time.
const FIRST_WORDS_WITHIN: Duration = Duration::from_secs(10);
/// As many bytes as HTTP/2 begins with (RFC 9113 section 3.4); a request of HTTP/1.1 has more.
const FIRST_WORDS: usize = 24;
/// How long to wait when a connection can't be taken.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Takes connections from a listener, so many at once.
struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

/// A connection, in its place until it is dropped.
pub(crate) struct Connection {
    carrier: Carrier,
    peer: Peer,
    silent: Option<Silent>,
    place: OwnedSemaphorePermit,
}

/// A connection that has not said enough yet.
struct Silent {
    heard: usize,
    until: Pin<Box<Sleep>>,
}

impl Acceptor {
    fn new(listener: TcpListener, at_once: usize) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(at_once)) }
    }

    /// The next connection. While all places are taken, new ones wait in the listener's queue.
    async fn next(&self) -> (Connection, SocketAddr) {
        if self.places.available_permits() == 0 {
            tracing::warn!("as many connections are open as may be: others wait");
        }
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if let Err(cause) = stream.set_nodelay(true) {
                        tracing::debug!(%cause, "a connection keeps its delay");
                    }
                    let peer = Peer::of(Some(address), None);
                    return (Connection::new(Carrier::Plain(stream), peer, place), address);
                }
                Err(cause) if is_of_the_connection(&cause) => {}
                Err(cause) => {
                    tracing::error!(%cause, "no connection can be taken; trying again");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }
}

/// Whether an error of `accept` is about one connection that went away, and not about the server.
fn is_of_the_connection(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(cause.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl Connection {
    /// One that has said nothing yet.
    fn new(carrier: Carrier, peer: Peer, place: OwnedSemaphorePermit) -> Self {
        let until = Box::pin(sleep_until(Instant::now() + FIRST_WORDS_WITHIN));
        Self { carrier, peer, silent: Some(Silent { heard: 0, until }), place }
    }

    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.carrier).poll_read(context, buffer);
        let Some(silent) = &mut this.silent else { return read };
        match read {
            Poll::Ready(result) => {
                silent.heard += buffer.filled().len() - before;
                if silent.heard >= FIRST_WORDS {
                    this.silent = None;
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(silent.until.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the connection says nothing")))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn acceptor(at_once: usize) -> (Acceptor, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        (Acceptor::new(listener, at_once), address)
    }

    #[tokio::test]
    async fn a_silent_connection_is_given_up_and_a_speaking_one_is_not() {
        let (acceptor, address) = acceptor(2).await;
        let _silent = TcpStream::connect(address).await.expect("it connects");
        let (mut silent, _) = acceptor.next().await;
        let mut speaking_client = TcpStream::connect(address).await.expect("it connects");
        let (mut speaking, _) = acceptor.next().await;
        speaking_client.write_all(&[b'x'; FIRST_WORDS]).await.expect("it writes");
        let mut words = [0; FIRST_WORDS];
        speaking.read_exact(&mut words).await.expect("they arrive");

        tokio::time::pause();
        let given_up = silent.read(&mut words).await.expect_err("it says nothing");
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        tokio::time::resume();
        assert!(speaking.silent.is_none());
        speaking_client.write_all(b"y").await.expect("it writes");
        assert_eq!(speaking.read(&mut words).await.expect("it arrives"), 1);
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_connection_is_dropped() {
        let (acceptor, address) = acceptor(1).await;
        let _first_client = TcpStream::connect(address).await.expect("it connects");
        let (first, _) = acceptor.next().await;
        let _second_client = TcpStream::connect(address).await.expect("the listener's queue takes it");
        let mut second = Box::pin(acceptor.next());
        let polled = std::future::poll_fn(|context| Poll::Ready(second.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        drop(first);
        second.await;
    }
}
