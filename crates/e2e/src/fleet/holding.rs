//! A holder of a fleet, in the test's process or in one of its own, and its links to the replicas.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use tonic::transport::Channel;

use crate::{Checked, FaultProxy, HolderProcess, HolderStart, Link, TestHolder, Upstream};

/// A holder.
#[derive(Debug)]
pub struct Holding {
    /// To each replica.
    pub links: Vec<FaultProxy>,
    start: HolderStart,
    running: RwLock<Running>,
}

#[derive(Clone, Debug)]
enum Running {
    Here(Arc<TestHolder>),
    There(Arc<HolderProcess>),
}

impl Holding {
    pub(super) async fn start(replicas: &[Upstream], jwt: &str, process: bool) -> Self {
        let mut links = Vec::new();
        for replica in replicas {
            links.push(FaultProxy::start(replica.clone()).await);
        }
        let endpoints = links.iter().map(FaultProxy::address).collect();
        let start = HolderStart { endpoints, jwt: jwt.to_owned() };
        let running = if process {
            Running::There(Arc::new(start.start_process()))
        } else {
            Running::Here(Arc::new(start.start()))
        };
        Self { links, start, running: RwLock::new(running) }
    }

    /// A request with this token value. Nothing if the holder's process ends before it answers.
    #[must_use]
    pub fn check(&self, value: &str) -> BoxFuture<'static, Option<Checked>> {
        match self.running() {
            Running::Here(holder) => {
                let value = value.to_owned();
                Box::pin(async move { Some(holder.check(&value).await) })
            }
            Running::There(process) => {
                let checked = process.check(value);
                Box::pin(async move { Some(checked.await) })
            }
        }
    }

    /// To its service.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self.running() {
            Running::Here(holder) => holder.channel(),
            Running::There(process) => process.channel(),
        }
    }

    /// What goes wrong between it and the replicas, as far as the test's process knows.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<str>> {
        match self.running() {
            Running::Here(holder) => holder.gatekey().health().trouble,
            Running::There(_) => None,
        }
    }

    /// Its process, if it has one of its own.
    #[must_use]
    pub fn process(&self) -> Option<Arc<HolderProcess>> {
        match self.running() {
            Running::Here(_) => None,
            Running::There(process) => Some(process),
        }
    }

    /// Sends its process a signal by name, as in `STOP`.
    ///
    /// # Panics
    /// If it has no process of its own.
    pub fn signal(&self, name: &str) {
        // Locked, so that nobody kills it just then.
        match &*self.running.read().unwrap_or_else(PoisonError::into_inner) {
            Running::Here(_) => panic!("it has no process of its own"),
            Running::There(process) => process.signal(name),
        }
    }

    /// Ends it as a crash does, and starts another in its place.
    pub fn crash(&self) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        *running = match &*running {
            Running::Here(_) => Running::Here(Arc::new(self.start.start())),
            Running::There(process) => {
                process.kill();
                Running::There(Arc::new(self.start.start_process()))
            }
        };
    }

    /// Ends it gracefully; it goes on without a lease.
    ///
    /// # Panics
    /// If it has a process of its own, or does not end.
    pub async fn release(&self) {
        match self.running() {
            Running::Here(holder) => holder.release().await,
            Running::There(_) => panic!("it is in a process of its own"),
        }
    }

    /// Sets all its links.
    pub fn set_links(&self, link: Link) {
        for proxy in &self.links {
            proxy.set(link);
        }
    }

    fn running(&self) -> Running {
        self.running.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
