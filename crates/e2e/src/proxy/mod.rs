//! A link that can be broken: a TCP proxy whose two ways can be stalled, slowed down or cut while it runs.
//! Which link is broken when is left to others.

mod pump;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What happens to the bytes that go one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They arrive.
    #[default]
    Pass,
    /// They arrive later, those that came together at once.
    Delay(Duration),
    /// They don't arrive until this changes, and nobody is told: a black hole.
    Stall,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// From the client to the upstream.
    pub up: Flow,
    /// From the upstream to the client.
    pub down: Flow,
    /// Every connection is closed, and new ones are as soon as they are made.
    pub cut: bool,
}

impl Link {
    /// All is well.
    pub const WHOLE: Self = Self { up: Flow::Pass, down: Flow::Pass, cut: false };
    /// Closed.
    pub const CUT: Self = Self { cut: true, ..Self::WHOLE };
    /// Nothing arrives, either way.
    pub const STALLED: Self = Self { up: Flow::Stall, down: Flow::Stall, cut: false };
    /// What the client says does not arrive.
    pub const DEAF: Self = Self { up: Flow::Stall, ..Self::WHOLE };
    /// What the upstream says does not arrive.
    pub const MUTE: Self = Self { down: Flow::Stall, ..Self::WHOLE };

    /// Everything takes so much longer, each way.
    #[must_use]
    pub const fn slow(by: Duration) -> Self {
        Self { up: Flow::Delay(by), down: Flow::Delay(by), cut: false }
    }
}

/// Where a proxy's connections go; shared, so that a process that comes back elsewhere is found again.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Mutex<SocketAddr>>);

impl Upstream {
    /// This address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(address)))
    }

    /// From now on, new connections go there.
    pub fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Where it is now.
    #[must_use]
    pub fn get(&self) -> SocketAddr {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<SocketAddr> for Upstream {
    fn from(address: SocketAddr) -> Self {
        Self::new(address)
    }
}

/// A running proxy. Its connections close when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    listening: AbortHandle,
}

impl FaultProxy {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start(upstream: impl Into<Upstream>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (link, watched) = watch::channel(Link::WHOLE);
        let listening = tokio::spawn(listen(listener, upstream.into(), watched)).abort_handle();
        Self { address, link, listening }
    }

    /// One before the database of this URL, whose server is there, and the URL through it.
    ///
    /// # Panics
    /// If the URL has no user and database.
    pub async fn before_database(url: &str, upstream: impl Into<Upstream>) -> (String, Self) {
        let (before, rest) = url.rsplit_once('@').expect("a URL with a user");
        let (_, database) = rest.split_once('/').expect("a URL with a database");
        let proxy = Self::start(upstream).await;
        (format!("{before}@{}/{database}", proxy.address()), proxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How its link is.
    #[must_use]
    pub fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// Changes its link, for connections that are open too.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Makes its link whole.
    pub fn heal(&self) {
        self.set(Link::WHOLE);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, upstream: Upstream, link: watch::Receiver<Link>) {
    // Aborts the connections when it is dropped.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        if !link.borrow().cut {
            connections.spawn(connect(client, upstream.get(), link.clone()));
        }
    }
}

async fn connect(client: TcpStream, upstream: SocketAddr, link: watch::Receiver<Link>) {
    let mut state = link.clone();
    tokio::select! {
        // The connection is gone when either end is, and what one end does the other sees.
        () = async {
            if let Ok(upstream) = TcpStream::connect(upstream).await {
                pump::both_ways(client, upstream, link).await;
            }
        } => {}
        _ = state.wait_for(|link| link.cut) => {}
    }
}

#[cfg(test)]
mod tests;
