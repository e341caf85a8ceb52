//! A fleet's everyday while its replicas are replaced one after the other, with every call accounted for: checks at every
//! holder all the time, creates and deletes at replicas that are in service. Who is replaced when is left to others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Fleet, Token};
use crate::{Outcome, ROOMY, reason};

/// How many tasks create and delete.
const WRITERS: usize = 6;
/// So many live tokens are kept.
const KEPT: usize = 48;
/// At so many holders a token is checked as soon as its delete has returned.
const PROBED: usize = 10;
/// A holder rests for up to so many milliseconds between two checks, and a writer between two rounds.
const BETWEEN_CHECKS: u64 = 80;
const BETWEEN_WRITES: u64 = 200;

/// Calls to a fleet, until they are stopped.
pub struct Traffic {
    tasks: JoinSet<()>,
    common: Arc<Common>,
}

/// What came of the calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Checks at holders.
    pub checks: u64,
    /// Those of them that were made while a replica was out of service.
    pub checks_meanwhile: u64,
    /// Those of them that were accepted from a cache.
    pub cached: u64,
    /// Tokens that were created.
    pub creates: u64,
    /// Deletes that returned OK.
    pub deletes: u64,
    /// Those of them that returned while a replica was out of service.
    pub deletes_meanwhile: u64,
    /// Those of them that waited a lease out.
    pub waited_out: u64,
    /// The longest delete, as its receipt has it.
    pub longest: Duration,
    /// Writes that were under way at a replica when it went out of service, had no answer there, and were made again.
    pub repeated: u64,
    /// Every call without the answer that it must have.
    pub failed: Vec<String>,
}

struct Common {
    fleet: Arc<Fleet>,
    tokens: Mutex<Tokens>,
    /// As whoever spreads calls over the replicas has them.
    replicas: Mutex<Vec<Service>>,
    served: Mutex<Served>,
    stop: AtomicBool,
}

/// Whether a replica is in service, and how often it went out of it.
#[derive(Clone, Copy)]
struct Service {
    on: bool,
    left: u64,
}

#[derive(Default)]
struct Tokens {
    live: Vec<Token>,
    /// They are being deleted, and checked meanwhile as all others are.
    going: Vec<Token>,
}

impl Traffic {
    /// Starts it, with every replica in service.
    ///
    /// # Panics
    /// If no tokens can be created.
    pub async fn start(fleet: &Arc<Fleet>, seed: u64) -> Self {
        let replicas = vec![Service { on: true, left: 0 }; fleet.replicas.len()];
        let common = Arc::new(Common {
            fleet: Arc::clone(fleet),
            tokens: Mutex::default(),
            replicas: Mutex::new(replicas),
            served: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let mut random = Rng::with_seed(seed);
        for _ in 0..KEPT {
            common.create(&mut random).await;
        }
        let mut tasks = JoinSet::new();
        for holder in 0..fleet.holders.len() {
            tasks.spawn(check_on(Arc::clone(&common), holder, random.fork()));
        }
        for _ in 0..WRITERS {
            tasks.spawn(write_on(Arc::clone(&common), random.fork()));
        }
        Self { tasks, common }
    }

    /// From now on, nobody is sent to this replica. What is under way there goes on.
    pub fn take_out(&self, replica: usize) {
        let service = &mut self.common.replicas()[replica];
        service.on = false;
        service.left += 1;
    }

    /// It is in service again.
    pub fn put_back(&self, replica: usize) {
        self.common.replicas()[replica].on = true;
    }

    /// Stops it, waits for its calls, and says what came of them.
    ///
    /// # Panics
    /// If a task did.
    pub async fn stop(mut self) -> Served {
        self.common.stop.store(true, Ordering::SeqCst);
        while let Some(task) = self.tasks.join_next().await {
            task.expect("no task panics");
        }
        self.common.served().clone()
    }
}

async fn check_on(common: Arc<Common>, holder: usize, mut random: Rng) {
    while !common.stop.load(Ordering::SeqCst) {
        if let Some(token) = common.any_token(&mut random) {
            common.check(holder, &token).await;
        }
        sleep(Duration::from_millis(random.u64(..BETWEEN_CHECKS))).await;
    }
}

async fn write_on(common: Arc<Common>, mut random: Rng) {
    while !common.stop.load(Ordering::SeqCst) {
        common.create(&mut random).await;
        if let Some(token) = common.begin_delete(&mut random) {
            common.delete(&mut random, &token).await;
            common.end_delete(&token);
            for _ in 0..PROBED {
                common.check(random.usize(..common.fleet.holders.len()), &token).await;
            }
        }
        sleep(Duration::from_millis(random.u64(..BETWEEN_WRITES))).await;
    }
}

impl Common {
    async fn check(&self, holder: usize, token: &Token) {
        let meanwhile = self.meanwhile();
        let checked = self.fleet.check(holder, token).await.expect("no check panics");
        let mut served = self.served();
        served.checks += 1;
        served.checks_meanwhile += u64::from(meanwhile);
        match checked {
            Some(checked) if checked.outcome != Outcome::CannotTell => {
                served.cached += u64::from(checked.cached);
            }
            without => {
                let trouble = self.fleet.holders[holder].trouble();
                served.failed.push(format!("a check at holder {holder}: {without:?}, {trouble:?}"));
            }
        }
    }

    /// Creates a token at a replica in service; elsewhere, if that one goes away with the call.
    async fn create(&self, random: &mut Rng) {
        loop {
            let (replica, left) = self.in_service(random);
            if let Some(token) = self.fleet.create(replica).await {
                self.tokens().live.push(token);
                self.served().creates += 1;
                return;
            }
            if self.failed_there(replica, left, || "a create".to_owned()) {
                return;
            }
        }
    }

    /// Deletes a token in the same way.
    async fn delete(&self, random: &mut Rng, token: &Token) {
        loop {
            let (replica, left) = self.in_service(random);
            match self.fleet.delete(replica, token, ROOMY).await {
                Ok(receipt) => {
                    let meanwhile = self.meanwhile();
                    let elapsed = receipt.elapsed.and_then(|elapsed| elapsed.try_into().ok());
                    let mut served = self.served();
                    served.deletes += 1;
                    served.deletes_meanwhile += u64::from(meanwhile);
                    served.waited_out += u64::from(receipt.leases_waited_out > 0);
                    match elapsed {
                        Some(elapsed) => served.longest = served.longest.max(elapsed),
                        None => served.failed.push("a receipt without its time".to_owned()),
                    }
                    return;
                }
                Err(status) => {
                    let what = || format!("a delete: {:?} {}", status.code(), reason(&status));
                    if self.failed_there(replica, left, what) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether a call failed for another reason than that its replica went out of service meanwhile.
    fn failed_there(&self, replica: usize, left: u64, what: impl FnOnce() -> String) -> bool {
        let stayed = self.replicas()[replica].left == left;
        let mut served = self.served();
        if stayed {
            served.failed.push(format!("{} at replica {replica}", what()));
        } else {
            served.repeated += 1;
        }
        stayed
    }

    /// A replica in service, and how often it had left when it was chosen.
    fn in_service(&self, random: &mut Rng) -> (usize, u64) {
        let replicas = self.replicas();
        let on: Vec<usize> = (0..replicas.len()).filter(|number| replicas[*number].on).collect();
        let chosen = on[random.usize(..on.len())];
        (chosen, replicas[chosen].left)
    }

    /// Whether a replica is out of service.
    fn meanwhile(&self) -> bool {
        self.replicas().iter().any(|service| !service.on)
    }

    fn any_token(&self, random: &mut Rng) -> Option<Token> {
        let tokens = self.tokens();
        let count = tokens.live.len() + tokens.going.len();
        let number = random.usize(..count.max(1));
        tokens.live.iter().chain(&tokens.going).nth(number).cloned()
    }

    /// A token that nobody else deletes, if there are enough of them.
    fn begin_delete(&self, random: &mut Rng) -> Option<Token> {
        let mut tokens = self.tokens();
        if tokens.live.len() <= KEPT {
            return None;
        }
        let number = random.usize(..tokens.live.len());
        let token = tokens.live.swap_remove(number);
        tokens.going.push(token.clone());
        Some(token)
    }

    fn end_delete(&self, token: &Token) {
        self.tokens().going.retain(|going| going.id != token.id);
    }

    fn replicas(&self) -> MutexGuard<'_, Vec<Service>> {
        self.replicas.lock().expect("nothing under this lock panics")
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().expect("nothing under this lock panics")
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().expect("nothing under this lock panics")
    }
}
