//! Whom a connection leads to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::tls::ClientCertificate;

/// Where a connection comes from, if it is known, and what its client has proven itself by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// As IPv4, where an address of IPv6 stands for one.
    pub(crate) address: Option<IpAddr>,
    /// None without TLS, or if the client showed none.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

impl Peer {
    pub(crate) fn of(address: Option<SocketAddr>, certificate: Option<Arc<ClientCertificate>>) -> Self {
        Self { address: address.map(|address| address.ip().to_canonical()), certificate }
    }
}
