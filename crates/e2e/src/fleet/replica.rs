//! A replica of a fleet: a server process, reached by its callers through a link that can be broken. That to its
//! store is in `store_link.rs`.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::block_in_place;

use super::store_link::{Source, StoreLink};
use crate::{Client, FaultProxy, ROOMY, Server, Start, Upstream};

/// A replica.
#[derive(Debug)]
pub struct Replica {
    start: Start,
    /// In seconds, from its next start on.
    lease: AtomicU32,
    /// None while it is dead.
    server: Mutex<Option<Server>>,
    upstream: Upstream,
    /// From its callers, the holders excepted.
    pub callers: FaultProxy,
    /// To its store.
    pub store: StoreLink,
    client: Client,
}

/// What all replicas of a fleet have in common.
pub(super) struct Common<'a> {
    pub(super) folder: &'a Path,
    pub(super) store: &'a Source<'a>,
    pub(super) args: &'a [String],
}

impl Replica {
    pub(super) async fn start(common: &Common<'_>, lease: u32) -> Self {
        let (flags, store) = StoreLink::start(common.store).await;
        let start = Start::in_folder(common.folder).arg("--dev");
        let start = common.args.iter().chain(&flags).fold(start, Start::arg);
        let server = block_in_place(|| with_lease(&start, lease).start());
        let upstream = Upstream::new(server.grpc);
        let callers = FaultProxy::start(upstream.clone()).await;
        // Whoever calls needs a JWT, which needs a server: see `Self::connect`.
        let client = Client::connect(callers.address(), None);
        let lease = AtomicU32::new(lease);
        Self { start, lease, server: Mutex::new(Some(server)), upstream, callers, store, client }
    }

    pub(super) fn connect(&mut self, jwt: &str) {
        self.client = Client::connect(self.callers.address(), Some(jwt));
    }

    /// Where its process is: the target of its links.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        self.upstream.clone()
    }

    /// Its callers' client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// From its next start on, it has a lease of so many seconds.
    pub fn set_lease(&self, seconds: u32) {
        self.lease.store(seconds, Ordering::Relaxed);
    }

    /// Sends its process a signal by name, as in `STOP`; the dead hear nothing.
    pub fn signal(&self, name: &str) {
        if let Some(server) = &*self.server() {
            server.signal(name);
        }
    }

    /// What its process has logged since its start; nothing of the dead.
    #[must_use]
    pub fn log(&self) -> String {
        self.server().as_ref().map(Server::log).unwrap_or_default()
    }

    /// Kills it (SIGKILL), whatever state it is in.
    pub fn kill(&self) {
        // Which is what happens to a server that is dropped.
        block_in_place(|| drop(self.server().take()));
    }

    /// Starts it anew, elsewhere, unless it runs; its links find it. Its store may be out of reach for a while.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn restart(&self) {
        let begun = Instant::now();
        let start = with_lease(&self.start, self.lease.load(Ordering::Relaxed));
        block_in_place(|| {
            let mut server = self.server();
            while server.is_none() {
                match start.try_start() {
                    Ok(anew) => {
                        self.upstream.set(anew.grpc);
                        *server = Some(anew);
                    }
                    Err(why) => assert!(begun.elapsed() < ROOMY, "{why}"),
                }
            }
        });
    }

    /// Has it end gracefully, if it runs, and starts it anew.
    ///
    /// # Panics
    /// If it does not end, or can't be started.
    pub fn roll(&self) {
        block_in_place(|| {
            if let Some(mut server) = self.server().take() {
                server.signal("CONT");
                assert!(server.terminate().success(), "{}", server.log());
            }
        });
        self.restart();
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with_lease(start: &Start, seconds: u32) -> Start {
    start.clone().args(["--lease", &seconds.to_string()])
}
