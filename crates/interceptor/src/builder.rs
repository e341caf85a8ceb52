//! How an interceptor is to be connected, checked; and its threads.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

use crate::backend::{Backend, Source};
use crate::clock::Clock;
use crate::gatekey::{Gatekey, Handle, Leaving};
use crate::limits::Limits;
#[cfg(feature = "tls")]
use crate::remote::Tls;
use crate::remote::{CredentialError, Credentials, Endpoint, Names, Remote};
use crate::shared::Shared;
use crate::{keeper, remote};

/// How many tokens are kept, unless it is set: about 20 MiB.
const CAPACITY: usize = 100_000;
const AT_ONCE: usize = 1_024;
const A_SECOND: u32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_mins(1);
/// So many slots a process can have: 8 to 16 GiB of them.
const MOST: usize = 1 << 28;
/// No client waits for so long.
const LONGEST: Duration = Duration::from_mins(1);

/// How to connect; see [`Gatekey::builder`]. All that it needs are the servers and something that proves this service.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    endpoints: Vec<String>,
    credentials: Option<Result<Credentials, CredentialError>>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    capacity: usize,
    at_once: usize,
    a_second: Option<u32>,
    patience: Duration,
    grace: Duration,
    clock: Clock,
    names: Names,
}

/// What is wrong with how it is to be connected: all of it at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Each problem.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl Builder {
    pub(crate) fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            credentials: None,
            #[cfg(feature = "tls")]
            tls: None,
            capacity: CAPACITY,
            at_once: AT_ONCE,
            a_second: Some(A_SECOND),
            patience: PATIENCE,
            grace: GRACE,
            clock: Clock::default(),
            names: Names::default(),
        }
    }

    /// Proves this service by the JWT in a file, which is read again when it may have changed: a projected service account
    /// token of Kubernetes, say. Its subject must be a verifier.
    pub fn bearer_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials = Some(Ok(Credentials::file(path.into())));
        self
    }

    /// Proves this service by this JWT, until it expires: for development. In production, use [`Self::bearer_file`].
    pub fn bearer(mut self, jwt: &str) -> Self {
        self.credentials = Some(Credentials::given(jwt));
        self
    }

    /// How `https` endpoints are spoken to, and a client certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How many good tokens are kept in memory; 100,000 unless it is set, 2^28 at the most. Each takes about 200 bytes and
    /// its texts.
    pub const fn capacity(mut self, tokens: usize) -> Self {
        self.capacity = tokens;
        self
    }

    /// How many verifications may be under way at once; 1,024 unless it is set. More are refused as
    /// [`Refusal::Overloaded`](crate::Refusal::Overloaded).
    pub const fn max_verifications(mut self, at_once: usize) -> Self {
        self.at_once = at_once;
        self
    }

    /// How many verifications may begin in a second, and in one burst; 10,000 unless it is set, no limit if it is 0. More
    /// are refused as [`Refusal::Overloaded`](crate::Refusal::Overloaded). What is in memory is not counted.
    pub const fn verifications_per_second(mut self, rate: u32) -> Self {
        self.a_second = if rate == 0 { None } else { Some(rate) };
        self
    }

    /// How long one server may take to verify a token before the next is asked; 1 second unless it is set, a minute at the
    /// most.
    pub const fn verify_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long open streams go on while there is no lease, so that nobody can say whether their tokens were revoked; 1
    /// minute unless it is set. They end as UNAVAILABLE after that. New requests do not go by this.
    pub const fn stream_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// With a clock of the test's.
    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With names that the test gives addresses to.
    #[cfg(test)]
    pub(crate) fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Connects. Returns at once: the servers need not be there yet, and [`Gatekey::leased`] waits for the first lease.
    ///
    /// # Errors
    /// All that is wrong with what was set, or a thread that can't be started.
    pub fn connect(mut self) -> Result<Gatekey, ConfigError> {
        let mut problems = Vec::new();
        let endpoints = self.endpoints(&mut problems);
        let credentials = self.credentials(&mut problems);
        if self.at_once == 0 {
            problems.push("max_verifications: must be 1 or more".to_owned());
        }
        if self.patience.is_zero() {
            problems.push("verify_timeout: must be longer than nothing".to_owned());
        }
        if self.patience > LONGEST {
            problems.push("verify_timeout: must be a minute or less".to_owned());
        }
        if self.capacity > MOST {
            problems.push(format!("capacity: must be {MOST} or less"));
        }
        let Some(credentials) = credentials.filter(|_| problems.is_empty()) else {
            return Err(ConfigError(problems));
        };
        let remote = Remote::new(
            endpoints,
            credentials,
            self.names,
            #[cfg(feature = "tls")]
            self.tls,
        );
        let rate = self.a_second.and_then(NonZeroU32::new);
        let limits = Limits::new(self.at_once, rate, self.patience, self.grace);
        start(self.capacity, self.clock, limits, Source::Servers(Box::new(remote)))
    }

    fn endpoints(&self, problems: &mut Vec<String>) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for text in &self.endpoints {
            match Endpoint::parse(text) {
                Ok(endpoint) if endpoints.contains(&endpoint) => {
                    problems.push(format!("endpoints: {endpoint} is given twice"));
                }
                Ok(endpoint) => endpoints.push(endpoint),
                Err(problem) => problems.push(format!("endpoints: {problem}")),
            }
        }
        if self.endpoints.is_empty() {
            problems.push("endpoints: at least one is required".to_owned());
        }
        endpoints
    }

    fn credentials(&mut self, problems: &mut Vec<String>) -> Option<Credentials> {
        #[cfg(feature = "tls")]
        if let Some(Err(problem)) = self.tls.as_ref().map(Tls::check) {
            problems.push(format!("tls: {problem}"));
        }
        let given = self.credentials.take();
        #[cfg(feature = "tls")]
        let given = given
            .or_else(|| self.tls.as_ref().is_some_and(Tls::proves_itself).then_some(Ok(Credentials::None)));
        let Some(credentials) = given else {
            problems.push(
                "credentials: required, by bearer_file, bearer, or a client certificate with the feature `tls`"
                    .to_owned(),
            );
            return None;
        };
        // A file that is not there is a mistake to be told at once; one that is gone later is trouble.
        let checked = credentials.and_then(|credentials| {
            credentials.authorization(self.clock.moment(), |_| {})?;
            Ok(credentials)
        });
        checked.map_err(|problem| problems.push(format!("credentials: {problem}"))).ok()
    }
}

/// Starts the threads.
pub(crate) fn start(
    capacity: usize,
    clock: Clock,
    limits: Limits,
    source: Source,
) -> Result<Gatekey, ConfigError> {
    let failed = |cause: std::io::Error| ConfigError(vec![format!("a thread can't be started: {cause}")]);
    let asking = runtime().map_err(failed)?;
    let streaming = runtime().map_err(failed)?;
    let backend = Backend::new(asking.handle().clone(), source);
    let shared = Arc::new(Shared::new(capacity, clock, limits, backend));
    let (leave, leaving) = watch::channel(Leaving::Not);
    let (done, left) = watch::channel(false);

    let stream = Arc::clone(&shared);
    let told = leaving.clone();
    let thread = thread::Builder::new().name("gatekey-lease".to_owned());
    thread
        .spawn(move || {
            streaming.block_on(remote::keep(stream, told));
            done.send_replace(true);
        })
        .map_err(failed)?;

    let keeper = Arc::clone(&shared);
    let thread = thread::Builder::new().name("gatekey-verify".to_owned());
    let handles = leave.subscribe();
    thread
        .spawn(move || {
            asking.block_on(async {
                tokio::select! {
                    () = keeper::keep(keeper) => {}
                    // The last handle is gone: nobody can ask any more.
                    () = gone(handles) => {}
                }
            });
        })
        .map_err(failed)?;
    Ok(Gatekey::new(shared, Handle { leave, left }))
}

/// Until every sender is dropped.
async fn gone(mut handles: watch::Receiver<Leaving>) {
    while handles.changed().await.is_ok() {}
}

fn runtime() -> std::io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests;
