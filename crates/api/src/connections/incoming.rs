//! The connections of a port, for whoever serves them, with TLS or without.

use std::io;
use std::net::SocketAddr;

use futures_util::{Stream, stream};
use tokio::net::TcpListener;

use super::handshakes::Handshakes;
use super::{Acceptor, Connection};
use crate::tls::{Protocol, Tls};

/// A port's connections.
pub(crate) struct Incoming {
    local: io::Result<SocketAddr>,
    ways: Ways,
}

enum Ways {
    Plain(Acceptor),
    Tls(Handshakes),
}

impl Incoming {
    /// As they are, so many at once.
    pub(crate) fn plain(listener: TcpListener, at_once: usize) -> Self {
        Self { local: listener.local_addr(), ways: Ways::Plain(Acceptor::new(listener, at_once)) }
    }

    /// By TLS if there is some, with this inside. Within a runtime.
    pub(crate) fn new(listener: TcpListener, at_once: usize, tls: Option<Tls>, protocol: Protocol) -> Self {
        let Some(tls) = tls else { return Self::plain(listener, at_once) };
        let local = listener.local_addr();
        let handshakes = Handshakes::start(Acceptor::new(listener, at_once), tls, protocol);
        Self { local, ways: Ways::Tls(handshakes) }
    }

    async fn next(&mut self) -> (Connection, SocketAddr) {
        match &mut self.ways {
            Ways::Plain(acceptor) => acceptor.next().await,
            Ways::Tls(handshakes) => handshakes.next().await,
        }
    }

    /// Every connection, for tonic.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |mut incoming| async move {
            let (connection, _) = incoming.next().await;
            Some((Ok(connection), incoming))
        })
    }
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.local {
            Ok(address) => Ok(*address),
            Err(cause) => Err(cause.kind().into()),
        }
    }
}
