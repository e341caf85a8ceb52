//! The addresses that the endpoints stand for, each with a connection of its own. Names are resolved again and again, to
//! all their addresses, so that replicas may come and go.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gatekey_lease::Moment;
use tokio::sync::{self, Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint as Transport};

#[cfg(feature = "tls")]
use super::tls::{Followed, Material, Tls};
use super::{CredentialError, Credentials, Endpoint, Names};
use crate::shared::Shared;

/// How long names are taken for resolved.
const RESOLVED: Duration = Duration::from_secs(30);
/// Names are looked up again no sooner than this, whatever happens.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a server that did not answer is asked last.
const SHUNNED: Duration = Duration::from_secs(2);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// A server that is gone without a word is noticed within about this and as much again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The servers.
pub(crate) struct Remote {
    endpoints: Vec<Endpoint>,
    credentials: Credentials,
    names: Names,
    #[cfg(feature = "tls")]
    tls: Followed,
    targets: watch::Sender<Arc<[Arc<Target>]>>,
    resolved: Mutex<Option<Moment>>,
    /// Servers come and go: names are to be looked up again.
    stale: Notify,
    /// When they were looked up last for questions that nobody answered, or began to be.
    looked: sync::Mutex<Option<Instant>>,
}

/// One server at one address.
pub(crate) struct Target {
    pub(super) name: Arc<str>,
    transport: Transport,
    channel: OnceLock<Channel>,
    shunned_until: AtomicU64,
    /// What it was made of; another one is made when that changes.
    made_of: MadeOf,
}

#[derive(Clone, PartialEq)]
struct MadeOf {
    endpoint: Endpoint,
    address: SocketAddr,
    #[cfg(feature = "tls")]
    material: Option<Arc<Material>>,
}

impl Remote {
    pub(crate) fn new(
        endpoints: Vec<Endpoint>,
        credentials: Credentials,
        names: Names,
        #[cfg(feature = "tls")] tls: Option<Tls>,
    ) -> Self {
        Self {
            endpoints,
            credentials,
            names,
            #[cfg(feature = "tls")]
            tls: Followed::new(tls),
            targets: watch::Sender::new(Arc::new([])),
            resolved: Mutex::new(None),
            stale: Notify::new(),
            looked: sync::Mutex::new(None),
        }
    }

    /// The `authorization` of a call that is made now.
    pub(super) fn authorization(
        &self,
        shared: &Shared,
    ) -> Result<Option<MetadataValue<Ascii>>, CredentialError> {
        self.credentials.authorization(shared.clock.moment(), |problem| shared.trouble(&problem.to_string()))
    }

    /// All servers, once they are known: that is waited for no longer than this.
    pub(super) async fn targets(&self, patience: Duration) -> Arc<[Arc<Target>]> {
        let mut targets = self.targets.subscribe();
        let known = timeout(patience, targets.wait_for(|targets| !targets.is_empty())).await;
        match known {
            Ok(Ok(targets)) => Arc::clone(&targets),
            Ok(Err(_)) | Err(_) => Arc::new([]),
        }
    }

    /// Resolves the names if that was long ago, or never gave anything. What a name resolved to before stays if it can't
    /// be resolved now.
    pub(super) async fn resolve(&self, shared: &Shared) -> Arc<[Arc<Target>]> {
        let before = Arc::clone(&self.targets.borrow());
        let now = shared.clock.moment();
        let last = *self.resolved.lock().expect("nothing under this lock panics");
        if !before.is_empty() && last.is_some_and(|last| now.since(last) < RESOLVED) && !self.rotated(&before)
        {
            return before;
        }
        self.look_up(shared).await
    }

    /// None of them gave a lease: their names may stand for others by now.
    pub(super) fn forget(&self) {
        *self.resolved.lock().expect("nothing under this lock panics") = None;
    }

    /// A server went away. Whoever needs a server meanwhile takes one that is known.
    pub(super) fn look_soon(&self) {
        self.stale.notify_one();
    }

    /// Resolves the names again and again, and when a server went away, so that questions find servers that came after the
    /// stream was opened.
    pub(super) async fn refresh(&self, shared: &Shared) -> Infallible {
        loop {
            timeout(RESOLVED, self.stale.notified()).await.ok();
            self.look_up(shared).await;
            sleep(LOOK_AGAIN).await;
        }
    }

    /// None of the servers answered a question: their names may stand for others by now. Whoever comes while they are looked
    /// up waits for that.
    pub(super) async fn look_again(&self, shared: &Shared, patience: Duration) -> Arc<[Arc<Target>]> {
        let looking = async {
            let mut looked = self.looked.lock().await;
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
                // Before as well as after: where names hang, patience ends first, and the system's look-up goes on in a
                // thread of its own. Whoever comes next must not begin another one at once.
                *looked = Some(Instant::now());
                self.look_up(shared).await;
                *looked = Some(Instant::now());
            }
        };
        timeout(patience, looking).await.ok();
        Arc::clone(&self.targets.borrow())
    }

    async fn look_up(&self, shared: &Shared) -> Arc<[Arc<Target>]> {
        let before = Arc::clone(&self.targets.borrow());
        let now = shared.clock.moment();
        #[cfg(feature = "tls")]
        let material = {
            let known = before.first().and_then(|target| target.made_of.material.clone());
            match self.tls.material(known, |problem| shared.trouble(problem)) {
                Ok(material) => material,
                Err(problem) => {
                    shared.trouble(&problem);
                    return before;
                }
            }
        };
        let mut targets: Vec<Arc<Target>> = Vec::new();
        let mut resolved = Some(now);
        for endpoint in &self.endpoints {
            let addresses: Vec<SocketAddr> = match self.names.addresses(endpoint).await {
                Ok(addresses) => addresses,
                Err(cause) => {
                    // To be tried again with the next stream.
                    resolved = None;
                    shared.trouble(&format!("{endpoint} can't be resolved: {cause}"));
                    before
                        .iter()
                        .filter(|target| target.made_of.endpoint == *endpoint)
                        .map(|target| target.made_of.address)
                        .collect()
                }
            };
            for address in addresses {
                let made_of = MadeOf {
                    endpoint: endpoint.clone(),
                    address,
                    #[cfg(feature = "tls")]
                    material: material.clone(),
                };
                if targets.iter().any(|target| target.made_of == made_of) {
                    continue;
                }
                // A server that stays keeps its connection.
                match before.iter().find(|target| target.made_of == made_of) {
                    Some(target) => targets.push(Arc::clone(target)),
                    None => match Target::new(made_of) {
                        Ok(target) => targets.push(Arc::new(target)),
                        Err(cause) => shared.trouble(&format!("{endpoint}: {}", innermost(&cause))),
                    },
                }
            }
        }
        *self.resolved.lock().expect("nothing under this lock panics") = resolved;
        let targets: Arc<[Arc<Target>]> = targets.into();
        self.targets.send_replace(Arc::clone(&targets));
        targets
    }

    /// Whether the certificates have changed since these were made.
    #[cfg(feature = "tls")]
    pub(super) fn rotated(&self, targets: &[Arc<Target>]) -> bool {
        targets.iter().any(|target| self.tls.have_changed(target.made_of.material.as_deref()))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "with the feature `tls` it is used")]
    pub(super) const fn rotated(&self, _targets: &[Arc<Target>]) -> bool {
        false
    }
}

impl Target {
    fn new(made_of: MadeOf) -> Result<Self, tonic::transport::Error> {
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

#[cfg(test)]
mod tests;
