//! The calls: checks at the services and at the server, creates, lists and deletes, at full speed or at a pace. Each answer is
//! compared with what is known of its token.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gatekey_e2e::{Client, Outcome, sent};
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::{CreateTokenRequest, TokenType, Verdict, VerifyTokenRequest};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::wide;

/// Tasks that check, and tasks that create and delete.
const CHECKERS: usize = 32;
const WRITERS: usize = 8;
/// Live tokens.
const KEPT: usize = 500;
/// Deleted tokens that are still checked: one check in [`ONE_IN`].
const GONE: usize = 64;
const ONE_IN: usize = 16;
/// One check in so many goes to the server itself, as one by a service without an interceptor does.
const DIRECT: usize = 8;
/// One turn in so many lists all tokens.
const LISTS: u64 = 5;

const TOLD: usize = 20;
/// Calls a second.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) checks: f64,
    /// Turns: each creates a token and deletes another, has it checked everywhere, and every fifth lists all.
    pub(super) writes: f64,
}

/// Tokens, whoever is asked about them, and what came of it.
#[derive(Default)]
pub(super) struct World {
    server: Option<Client>,
    services: Vec<TokenServiceClient<Channel>>,
    tokens: Mutex<VecDeque<Arc<Token>>>,
    gone: Mutex<VecDeque<Arc<Token>>>,
    pub(super) counts: Counts,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) checks: AtomicU64,
    pub(super) writes: AtomicU64,
    /// Calls without the answer that they must have, stale accepts excepted.
    pub(super) failed: AtomicU64,
    /// Accepts that were asked for after the token's delete had returned.
    pub(super) stale: AtomicU64,
    trouble: Mutex<Vec<String>>,
}

struct Token {
    id: i64,
    value: String,
    /// [`LIVE`], then [`GOING`] from before its delete is called, then [`DELETED`] from when it has returned.
    state: AtomicU8,
}

const LIVE: u8 = 0;
const GOING: u8 = 1;
const DELETED: u8 = 2;

/// Calls that go on until they are stopped.
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// One kind of calls, in turn.
struct Turns {
    next: AtomicU64,
    /// A second; as many as are answered, if there is none.
    rate: Option<f64>,
    begun: Instant,
    stop: Arc<AtomicBool>,
}

impl Running {
    pub(super) fn start(world: &Arc<World>, pace: Option<Pace>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let turns = |rate| {
            let (begun, stop) = (Instant::now(), Arc::clone(&stop));
            Arc::new(Turns { next: AtomicU64::new(0), rate, begun, stop })
        };
        let (checks, writes) = (turns(pace.map(|pace| pace.checks)), turns(pace.map(|pace| pace.writes)));
        let mut tasks = JoinSet::new();
        for _ in 0..CHECKERS {
            let (world, turns) = (Arc::clone(world), Arc::clone(&checks));
            tasks.spawn(async move {
                while turns.next().await.is_some() {
                    world.check_any().await;
                }
            });
        }
        for _ in 0..WRITERS {
            let (world, turns) = (Arc::clone(world), Arc::clone(&writes));
            tasks.spawn(async move {
                while let Some(number) = turns.next().await {
                    world.write(number).await;
                }
            });
        }
        Self { stop, tasks }
    }

    /// Waits for the calls that are under way.
    pub(super) async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(task) = self.tasks.join_next().await {
            task.expect("no task panics");
        }
    }
}

impl Turns {
    /// Waits for the next turn; its number, or nothing if there are to be no more.
    async fn next(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(rate) = self.rate {
            sleep_until(self.begun + Duration::from_secs_f64(wide(number) / rate)).await;
        }
        (!self.stop.load(Ordering::Relaxed)).then_some(number)
    }
}

impl World {
    /// With as many live tokens as there will be.
    pub(super) async fn new(server: Client, services: &[SocketAddr]) -> Arc<Self> {
        let service = |address: &SocketAddr| {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
            TokenServiceClient::new(endpoint.tcp_nodelay(true).connect_lazy())
        };
        let services = services.iter().map(service).collect();
        let world = Arc::new(Self { server: Some(server), services, ..Self::default() });
        for _ in 0..KEPT {
            world.create().await;
        }
        world
    }

    /// Turns so far.
    pub(super) fn writes(&self) -> u64 {
        self.counts.writes.load(Ordering::Relaxed)
    }

    /// What went wrong, and when: the first of it.
    pub(super) fn trouble(&self) -> Vec<String> {
        self.counts.trouble.lock().expect("nothing under this lock panics").clone()
    }

    async fn check_any(&self) {
        let token = if fastrand::usize(..ONE_IN) == 0 { any(&self.gone) } else { any(&self.tokens) };
        let Some(token) = token else { return };
        let service = (fastrand::usize(..DIRECT) != 0).then(|| fastrand::usize(..self.services.len()));
        self.check(service, &token).await;
    }

    /// At a service, or at the server.
    async fn check(&self, service: Option<usize>, token: &Token) {
        let before = token.state.load(Ordering::SeqCst);
        let (outcome, why) = match service {
            Some(number) => protected(self.services[number].clone(), &token.value).await,
            None => verified(self.server(), &token.value).await,
        };
        let after = token.state.load(Ordering::SeqCst);
        self.counts.checks.fetch_add(1, Ordering::Relaxed);
        let place = || service.map_or_else(|| "the server".to_owned(), |number| format!("service {number}"));
        match outcome {
            Outcome::Accepted if before == DELETED => {
                self.counts.stale.fetch_add(1, Ordering::Relaxed);
                self.tell(|| format!("a stale accept of token {} at {}", token.id, place()));
            }
            Outcome::Rejected if after == LIVE => {
                self.failed(|| format!("a reject of live token {} at {}: {why}", token.id, place()));
            }
            Outcome::CannotTell => self.failed(|| format!("no answer of {}: {why}", place())),
            Outcome::Accepted | Outcome::Rejected => {}
        }
    }

    /// One turn.
    async fn write(&self, number: u64) {
        self.create().await;
        if number.is_multiple_of(LISTS)
            && let Err(status) = sent(|| self.server().list(0, "")).await
        {
            self.failed(|| format!("a list: {status}"));
        }
        let due = {
            let mut tokens = lock(&self.tokens);
            if tokens.len() > KEPT { tokens.pop_front() } else { None }
        };
        if let Some(token) = due {
            self.delete(token).await;
        }
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
    }

    async fn create(&self) {
        let request = CreateTokenRequest {
            name: "soak".to_owned(),
            r#type: TokenType::Batch.into(),
            years_valid: 1,
            request_id: String::new(),
        };
        match sent(|| self.server().create(request.clone())).await {
            Ok(created) => {
                let id = created.token.expect("a token").id;
                let token = Token { id, value: created.token_value, state: AtomicU8::new(LIVE) };
                lock(&self.tokens).push_back(Arc::new(token));
            }
            Err(status) => self.failed(|| format!("a create: {status}")),
        }
    }

    /// Deletes it, and has it checked everywhere as soon as that has returned.
    async fn delete(&self, token: Arc<Token>) {
        token.state.store(GOING, Ordering::SeqCst);
        if let Err(status) = sent(|| self.server().delete(token.id)).await {
            self.failed(|| format!("a delete: {status}"));
            return;
        }
        token.state.store(DELETED, Ordering::SeqCst);
        for service in (0..self.services.len()).map(Some).chain([None]) {
            self.check(service, &token).await;
        }
        let mut gone = lock(&self.gone);
        gone.push_back(token);
        if gone.len() > GONE {
            gone.pop_front();
        }
    }

    fn failed(&self, what: impl FnOnce() -> String) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        self.tell(what);
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        let mut trouble = self.counts.trouble.lock().expect("nothing under this lock panics");
        if trouble.len() < TOLD {
            let checks = self.counts.checks.load(Ordering::Relaxed);
            trouble.push(format!("after {checks} checks: {}", what()));
        }
    }

    fn server(&self) -> &Client {
        self.server.as_ref().expect("only a world without tokens has none")
    }
}

/// What a service with the interceptor in front answers.
async fn protected(mut service: TokenServiceClient<Channel>, value: &str) -> (Outcome, String) {
    let mut request = Request::new(VerifyTokenRequest::default());
    let bearer = format!("Bearer {value}").parse().expect("a value is ASCII");
    request.metadata_mut().insert("authorization", bearer);
    match service.verify_token(request).await {
        Ok(_) => (Outcome::Accepted, String::new()),
        Err(status) if status.code() == Code::Unauthenticated => (Outcome::Rejected, status.to_string()),
        Err(status) => (Outcome::CannotTell, status.to_string()),
    }
}

/// What the server answers.
async fn verified(server: &Client, value: &str) -> (Outcome, String) {
    match sent(|| server.verify(value)).await {
        Ok(answer) if answer.verdict() == Verdict::Active => (Outcome::Accepted, String::new()),
        Ok(answer) => (Outcome::Rejected, format!("{:?}", answer.verdict())),
        Err(status) => (Outcome::CannotTell, status.to_string()),
    }
}

fn any(tokens: &Mutex<VecDeque<Arc<Token>>>) -> Option<Arc<Token>> {
    let tokens = lock(tokens);
    tokens.get(fastrand::usize(..tokens.len().max(1))).cloned()
}

fn lock(tokens: &Mutex<VecDeque<Arc<Token>>>) -> MutexGuard<'_, VecDeque<Arc<Token>>> {
    tokens.lock().expect("nothing under this lock panics")
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} checks and {:.0} creates and deletes a second", self.checks, self.writes)
    }
}
