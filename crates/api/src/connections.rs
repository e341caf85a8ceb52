//! Takes connections, and does not let strangers use up the server: there is a bound on how many are
//! open, a new one has to say something soon, and a lack of file descriptors is waited out and logged.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::transport::server::Connected;

/// A new connection must send its first bytes within this time.
const FIRST_WORDS_WITHIN: Duration = Duration::from_secs(10);
/// As many bytes as HTTP/2 begins with (RFC 9113 section 3.4); a request of HTTP/1.1 has more.
const FIRST_WORDS: usize = 24;
/// How long to wait when a connection can't be taken.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Takes connections from a listener, so many at once.
pub(crate) struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

/// A connection, in its place until it is dropped.
pub(crate) struct Connection {
    stream: TcpStream,
    silent: Option<Silent>,
    _place: OwnedSemaphorePermit,
}

/// A connection that has not said enough yet.
struct Silent {
    heard: usize,
    until: Pin<Box<Sleep>>,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, at_once: usize) -> Self {
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
                    let until = Box::pin(sleep_until(Instant::now() + FIRST_WORDS_WITHIN));
                    let silent = Some(Silent { heard: 0, until });
                    return (Connection { stream, silent, _place: place }, address);
                }
                Err(cause) if is_of_the_connection(&cause) => {}
                Err(cause) => {
                    tracing::error!(%cause, "no connection can be taken; trying again");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Every connection, for tonic.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |acceptor| async move {
            let (connection, _) = acceptor.next().await;
            Some((Ok(connection), acceptor))
        })
    }
}

/// Whether an error of `accept` is about one connection that went away, and not about the server.
fn is_of_the_connection(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(cause.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl axum::serve::Listener for Acceptor {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected for Connection {
    type ConnectInfo = <TcpStream as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
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
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
