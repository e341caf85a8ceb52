//! Handshakes of TLS: each in a task of its own and in its connection's place, so that one that is slow or bad holds up no
//! other; and each within a time limit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::carrier::Carrier;
use super::{Acceptor, Connection, Peer};
use crate::tls::{ClientCertificate, Outcome, Protocol, Tls};

/// A handshake must be made within this time.
const WITHIN: Duration = Duration::from_secs(10);

/// The connections whose handshakes were made, until it is dropped: then no more are taken.
pub(super) struct Handshakes {
    made: mpsc::UnboundedReceiver<Connection>,
    accepting: AbortHandle,
}

impl Handshakes {
    pub(super) fn start(acceptor: Acceptor, tls: Tls, protocol: Protocol) -> Self {
        // As many as there are places, at the most.
        let (done, made) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            loop {
                let (connection, address) = acceptor.next().await;
                let (tls, done) = (tls.clone(), done.clone());
                tokio::spawn(async move {
                    if let Some(connection) = shake(connection, address, &tls, protocol).await {
                        // If nobody takes it any more, it is closed.
                        done.send(connection).ok();
                    }
                });
            }
        });
        Self { made, accepting: accepting.abort_handle() }
    }

    pub(super) async fn next(&mut self) -> Connection {
        match self.made.recv().await {
            Some(made) => made,
            // The task ended by itself: only a panic does that, and it is in the log.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Makes the handshake. Nothing if it fails: that is the client's affair, a figure, and a line for whoever looks for it.
async fn shake(
    connection: Connection,
    address: SocketAddr,
    tls: &Tls,
    protocol: Protocol,
) -> Option<Connection> {
    let Connection { carrier, place, .. } = connection;
    let Carrier::Plain(stream) = carrier else { return None };
    let live = tls.live();
    let handshake = TlsAcceptor::from(live.config(protocol)).accept(stream);
    let made = timeout(WITHIN, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let stream = match made {
        Ok(stream) => stream,
        Err(cause) => {
            let outcome = Outcome::of(&cause);
            outcome.count();
            tracing::debug!(%cause, ?outcome, peer = %address, "a TLS handshake failed");
            return None;
        }
    };
    Outcome::Ok.count();
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.and_then(|chain| ClientCertificate::new(tls, &live, chain));
    let peer = Peer::of(Some(address), certificate.map(Arc::new));
    Some(Connection::new(Carrier::Tls(Box::new(stream)), peer, place))
}
