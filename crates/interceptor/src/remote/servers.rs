//! The servers that the endpoints stand for. Names are resolved again and again, to all their addresses, so that replicas may
//! come and go.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gatekey_lease::Moment;
use tokio::sync::{self, Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::target::{MadeOf, Target, innermost};
#[cfg(feature = "tls")]
use super::tls::{Followed, Tls};
use super::{Authorization, CredentialError, Credentials, Endpoint, Names};
use crate::shared::Shared;

/// How long names are taken for resolved.
const RESOLVED: Duration = Duration::from_secs(30);
/// How long a name may take. What it was known for counts meanwhile, and the others.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a stream that is to be opened waits for names, if a server is known.
const HESITATES: Duration = Duration::from_millis(500);
/// Names are looked up again no sooner than this, whatever happens.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The servers.
pub(crate) struct Remote {
    endpoints: Vec<Endpoint>,
    credentials: Credentials,
    names: Names,
    #[cfg(feature = "tls")]
    tls: Followed,
    targets: watch::Sender<Arc<[Arc<Target>]>>,
    resolved: Mutex<Option<Moment>>,
    /// The `authorization` of the last stream that a server took, if it has one.
    taken: Mutex<Authorization>,
    /// How often names were looked up, and when that which was heard of last began.
    begun: AtomicU64,
    published: Mutex<u64>,
    /// Servers come and go: names are to be looked up again.
    stale: Notify,
    /// When they were looked up last for questions that nobody answered, or began to be.
    looked: sync::Mutex<Option<Instant>>,
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
            taken: Mutex::new(None),
            begun: AtomicU64::new(0),
            published: Mutex::new(0),
            stale: Notify::new(),
            looked: sync::Mutex::new(None),
        }
    }

    /// What may prove this service now: the newest, and then what a server has taken if that is another, since the newest may not be
    /// taken yet.
    pub(super) fn authorizations(&self, shared: &Shared) -> Result<Vec<Authorization>, CredentialError> {
        let taken = self.taken.lock().expect("nothing under this lock panics").clone();
        match (taken, self.newest_authorization(shared)) {
            (Some(taken), Ok(newest)) if newest.as_ref() != Some(&taken) => Ok(vec![newest, Some(taken)]),
            (Some(taken), _) => Ok(vec![Some(taken)]),
            (None, newest) => Ok(vec![newest?]),
        }
    }

    /// A server has taken a stream that was opened by this.
    pub(super) fn taken(&self, authorization: Authorization) {
        *self.taken.lock().expect("nothing under this lock panics") = authorization;
    }

    /// The newest there is.
    pub(super) fn newest_authorization(&self, shared: &Shared) -> Result<Authorization, CredentialError> {
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
        tokio::select! {
            biased;
            targets = self.look_up(shared) => targets,
            targets = self.known_already() => {
                // Some name has no answer yet. Others go on with it.
                self.look_soon();
                targets
            }
        }
    }

    async fn known_already(&self) -> Arc<[Arc<Target>]> {
        sleep(HESITATES).await;
        self.targets(Duration::MAX).await
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
        let now = shared.clock.moment();
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        #[cfg(feature = "tls")]
        let before = Arc::clone(&self.targets.borrow());
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
        let made_of = |endpoint: &Endpoint, address| MadeOf {
            endpoint: endpoint.clone(),
            address,
            #[cfg(feature = "tls")]
            material: material.clone(),
        };
        #[cfg(feature = "tls")]
        if before.iter().any(|target| target.made_of.material != material) {
            self.publish(shared, number, &made_of, None);
        }
        let mut resolved = Some(now);
        let ask = async |endpoint| (endpoint, timeout(ANSWERS_WITHIN, self.names.addresses(endpoint)).await);
        let mut answers: FuturesUnordered<_> = self.endpoints.iter().map(ask).collect();
        while let Some((endpoint, answer)) = answers.next().await {
            match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(addresses) => self.publish(shared, number, &made_of, Some((endpoint, &addresses))),
                Err(cause) => {
                    // To be tried again with the next stream.
                    resolved = None;
                    shared.trouble(&format!("{endpoint} can't be resolved: {cause}"));
                }
            }
        }
        *self.resolved.lock().expect("nothing under this lock panics") = resolved;
        Arc::clone(&self.targets.borrow())
    }

    /// What one name stands for by now, in the order of the endpoints; the others stand for what they did.
    fn publish(
        &self,
        shared: &Shared,
        number: u64,
        made_of: &impl Fn(&Endpoint, SocketAddr) -> MadeOf,
        answered: Option<(&Endpoint, &[SocketAddr])>,
    ) {
        let mut published = self.published.lock().expect("nothing under this lock panics");
        // Files of TLS and names that were looked at later count. Those names are asked for there, too.
        if *published > number {
            return;
        }
        *published = number;
        let before = Arc::clone(&self.targets.borrow());
        let addresses = |endpoint: &Endpoint| match answered {
            Some((this, addresses)) if this == endpoint => addresses.to_vec(),
            _ => {
                let before = before.iter().filter(|target| target.endpoint() == endpoint);
                before.map(|target| target.made_of.address).collect()
            }
        };
        let (mut now, mut problems): (Vec<Arc<Target>>, Vec<String>) = (Vec::new(), Vec::new());
        for endpoint in &self.endpoints {
            for made_of in addresses(endpoint).into_iter().map(|address| made_of(endpoint, address)) {
                if now.iter().any(|target| target.made_of == made_of) {
                    continue;
                }
                // A server that stays keeps its connection.
                match before.iter().find(|target| target.made_of == made_of) {
                    Some(target) => now.push(Arc::clone(target)),
                    None => match Target::new(made_of) {
                        Ok(target) => now.push(Arc::new(target)),
                        Err(cause) => problems.push(format!("{endpoint}: {}", innermost(&cause))),
                    },
                }
            }
        }
        self.targets.send_replace(now.into());
        drop(published);
        for problem in problems {
            shared.trouble(&problem);
        }
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

#[cfg(test)]
mod tests;
