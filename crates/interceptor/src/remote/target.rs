//! One server at one address, with a connection of its own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gatekey_lease::Moment;
use tonic::transport::{Channel, Endpoint as Transport};

use super::Endpoint;
#[cfg(feature = "tls")]
use super::tls::Material;

/// How long a server that did not answer is asked last.
const SHUNNED: Duration = Duration::from_secs(2);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// A server that is gone without a word is noticed within about this and as much again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// One server at one address.
pub(crate) struct Target {
    pub(super) name: Arc<str>,
    transport: Transport,
    channel: OnceLock<Channel>,
    shunned_until: AtomicU64,
    /// What it was made of; another one is made when that changes.
    pub(super) made_of: MadeOf,
}

#[derive(Clone, PartialEq)]
pub(super) struct MadeOf {
    pub(super) endpoint: Endpoint,
    pub(super) address: SocketAddr,
    #[cfg(feature = "tls")]
    pub(super) material: Option<Arc<Material>>,
}

impl Target {
    pub(super) fn new(made_of: MadeOf) -> Result<Self, tonic::transport::Error> {
        let MadeOf { endpoint, address, .. } = &made_of;
        let scheme = if endpoint.tls { "https" } else { "http" };
        let transport = Transport::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .tcp_nodelay(true);
        // The server is called by its name, at whichever address.
        let origin = endpoint.to_string().parse();
        let transport = if let Ok(origin) = origin { transport.origin(origin) } else { transport };
        #[cfg(feature = "tls")]
        let transport = match &made_of.material {
            Some(material) if endpoint.tls => transport.tls_config(material.client(&endpoint.host))?,
            None if endpoint.tls => transport.tls_config(Material::default().client(&endpoint.host))?,
            _ => transport,
        };
        let name = format!("{endpoint} at {address}").into();
        Ok(Self { name, transport, channel: OnceLock::new(), shunned_until: AtomicU64::new(0), made_of })
    }

    /// Whether it is the same server, however it is spoken to.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.made_of.endpoint == other.made_of.endpoint && self.made_of.address == other.made_of.address
    }

    /// As it was configured.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.made_of.endpoint
    }

    /// The connection for questions; made at the first call on it, on the current runtime.
    pub(super) fn channel(&self) -> Channel {
        self.channel.get_or_init(|| self.transport.connect_lazy()).clone()
    }

    /// A new connection, for the stream.
    pub(super) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        self.transport.connect().await
    }

    pub(super) fn shun(&self, now: Moment) {
        self.shunned_until.store(now.plus(SHUNNED).nanos(), Ordering::Relaxed);
    }

    pub(super) fn is_shunned(&self, now: Moment) -> bool {
        now.nanos() < self.shunned_until.load(Ordering::Relaxed)
    }
}

/// The causes around it say that a server was called, which is known.
pub(super) fn innermost(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
