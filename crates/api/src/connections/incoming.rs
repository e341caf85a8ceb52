//! The connections of a port, for whoever serves them, with TLS or without.

use std::io;

use futures_util::{Stream, stream};
use tokio::net::TcpListener;

use super::handshakes::Handshakes;
use super::{Acceptor, Connection};
use crate::tls::{Protocol, Tls};

/// A port's connections.
pub(crate) struct Incoming(Ways);

enum Ways {
    Plain(Acceptor),
    Tls(Handshakes),
}

impl Incoming {
    /// As they are, so many at once.
    pub(crate) fn plain(listener: TcpListener, at_once: usize) -> Self {
        Self(Ways::Plain(Acceptor::new(listener, at_once)))
    }

    /// By TLS if there is some, with this inside. Within a runtime.
    pub(crate) fn new(listener: TcpListener, at_once: usize, tls: Option<Tls>, protocol: Protocol) -> Self {
        let Some(tls) = tls else { return Self::plain(listener, at_once) };
        Self(Ways::Tls(Handshakes::start(Acceptor::new(listener, at_once), tls, protocol)))
    }

    /// The next one. Nothing is lost if it is given up before that.
    pub(crate) async fn next(&mut self) -> Connection {
        match &mut self.0 {
            Ways::Plain(acceptor) => acceptor.next().await.0,
            Ways::Tls(handshakes) => handshakes.next().await,
        }
    }

    /// Every connection, for tonic.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |mut incoming| async move {
            let connection = incoming.next().await;
            Some((Ok(connection), incoming))
        })
    }
}
