//! One round: create, cache, delete, probe. It may be cut off anywhere: what it makes is noted before, and what it
//! finds stands in the [`Round`] that the caller keeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatekey_proto::v1::{DeletionReceipt, Verdict};
use tokio::time::{sleep, timeout};
use tonic::Code;
use uuid::Uuid;

use super::account::Round;
use super::endpoint::Endpoint;
use super::holding::Holding;
use super::leftovers::{Leftovers, Made};
use super::trouble::Failed;

/// How long a round waits for a lease.
const LEASE_LIMIT: Duration = Duration::from_secs(3);
/// How often a round asks for an answer that may be cached: the server may have to catch up with the cache first.
const ATTEMPTS: usize = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);
/// How many calls settle what is left; far more than it takes.
const STEPS: usize = 100;

/// What goes from round to round.
pub(super) struct Rounds {
    endpoints: Arc<[Endpoint]>,
    holding: Arc<Holding>,
    left: Leftovers,
    /// The endpoint to begin with, so that each has its turn at everything.
    turn: usize,
}

impl Rounds {
    pub(super) fn new(endpoints: Arc<[Endpoint]>, holding: Arc<Holding>) -> Self {
        // The first round adds one.
        Self { endpoints, holding, left: Leftovers::default(), turn: usize::MAX }
    }

    /// What may be left behind.
    pub(super) fn left(&self) -> &Leftovers {
        &self.left
    }

    pub(super) async fn round(&mut self, round: &mut Round) {
        self.turn = self.turn.wrapping_add(1);
        self.settle(round).await;
        if self.left.is_full() {
            return;
        }
        let Some((created_at, token)) = self.create(round).await else { return };
        let cached = self.cache(token, round).await;
        self.probe_good(token, round).await;
        round.cached = cached && self.holding.accepts(&token.digest);
        if let Some((took, receipt)) = self.delete(token, created_at + 1, round).await {
            round.deleted(took, &receipt);
        }
    }

    /// Deletes what earlier rounds left, for as long as that goes well.
    pub(super) async fn settle(&mut self, round: &mut Round) {
        for _ in 0..STEPS {
            if let Some(token) = self.left.token() {
                self.delete(token, self.turn, round).await;
                if self.left.token() == Some(token) {
                    return;
                }
            } else if let Some(request) = self.left.create() {
                if !self.repeat_create(request, round).await {
                    return;
                }
            } else {
                return;
            }
        }
    }

    /// The token, and the number of the endpoint that made it.
    async fn create(&mut self, round: &mut Round) -> Option<(usize, Made)> {
        for (number, endpoint) in beginning_with(&self.endpoints, self.turn) {
            let request = Uuid::new_v4();
            self.left.asked(request);
            match endpoint.create(request).await {
                Ok(token) => {
                    self.left.made(request, token);
                    return Some((number, token));
                }
                Err(failed) => {
                    round.failed += 1;
                    if failed.changed_nothing() {
                        self.left.made_nothing(request);
                    }
                }
            }
        }
        None
    }

    /// A CreateToken had no clear answer, and may still be under way. A repeat revokes what it has made, and is
    /// revoked by what it makes later; so what the repeat makes is only deleted, and then it is repeated again, until
    /// the server says that the id is spent: then nothing is left, and nothing can come. Whether that went well.
    async fn repeat_create(&mut self, request: Uuid, round: &mut Round) -> bool {
        for (_, endpoint) in beginning_with(&self.endpoints, self.turn) {
            match endpoint.create_again(request).await {
                Ok(Some(token)) => {
                    self.left.found(token);
                    return true;
                }
                Ok(None) => {
                    self.left.made_nothing(request);
                    return true;
                }
                Err(_) => round.failed += 1,
            }
        }
        false
    }

    /// Gets the token into the cache. Whether the cache accepts it then.
    async fn cache(&self, token: Made, round: &mut Round) -> bool {
        if timeout(LEASE_LIMIT, self.holding.leased()).await.is_err() {
            return false;
        }
        let mut failures = 0;
        // Not only where it was made, which knows it best.
        let endpoints = beginning_with(&self.endpoints, self.turn.wrapping_add(2));
        for (_, endpoint) in endpoints.cycle().take(ATTEMPTS) {
            let Some(asking) = self.holding.ask(token.digest) else { return false };
            let Ok(answer) = endpoint.verify(token.digest, asking.position).await else {
                failures += 1;
                round.failed += 1;
                if failures >= self.endpoints.len() {
                    return false;
                }
                continue;
            };
            asking.answered(&answer);
            if answer.verdict() != Verdict::Active {
                round.false_reject(token.id, &endpoint.name, answer.verdict());
                return false;
            }
            if self.holding.accepts(&token.digest) {
                return true;
            }
            sleep(BETWEEN_ATTEMPTS).await;
        }
        false
    }

    /// Nobody has asked for its delete yet.
    async fn probe_good(&self, token: Made, round: &mut Round) {
        for (endpoint, verdict) in self.verdicts(token).await {
            match verdict {
                Ok(Verdict::Active) => {}
                Ok(verdict) => round.false_reject(token.id, &endpoint.name, verdict),
                Err(_) => round.failed += 1,
            }
        }
    }

    /// Deletes a token where that goes well first, and then has nobody accept it. How long the call took that went
    /// well.
    async fn delete(
        &mut self,
        token: Made,
        first: usize,
        round: &mut Round,
    ) -> Option<(Duration, DeletionReceipt)> {
        for (_, endpoint) in beginning_with(&self.endpoints, first) {
            let begun = Instant::now();
            match endpoint.delete(token.id).await {
                Ok(receipt) => {
                    // First of all.
                    let accepted = self.holding.accepts(&token.digest);
                    let took = begun.elapsed();
                    self.left.deleted(token);
                    if accepted {
                        round.stale(token.id, &receipt, "cache");
                    }
                    self.probe_deleted(token, &receipt, round).await;
                    return Some((took, receipt));
                }
                Err(failed) => {
                    round.failed += 1;
                    if failed.is(Code::NotFound) {
                        // Of another tenant than the JWT's, or lost: no repeat will find it.
                        self.left.deleted(token);
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Its delete has returned.
    async fn probe_deleted(&self, token: Made, receipt: &DeletionReceipt, round: &mut Round) {
        for (endpoint, verdict) in self.verdicts(token).await {
            match verdict {
                Ok(Verdict::Active) => round.stale(token.id, receipt, &endpoint.name),
                Ok(Verdict::Revoked) => round.revoked += 1,
                Ok(verdict) => {
                    round.cannot_tell += 1;
                    let verdict = verdict.as_str_name();
                    endpoint.say(&format!("token {} is deleted, and the verdict is {verdict}", token.id));
                }
                Err(_) => round.cannot_tell += 1,
            }
        }
    }

    /// What every endpoint says of a token; all are asked at once.
    async fn verdicts(&self, token: Made) -> Vec<(&Endpoint, Result<Verdict, Failed>)> {
        let asked = self.endpoints.iter().map(async |endpoint| {
            let answer = endpoint.verify(token.digest, None).await;
            (endpoint, answer.map(|answer| answer.verdict()))
        });
        join_all(asked).await
    }
}

/// The endpoints with their numbers, each once.
fn beginning_with(endpoints: &[Endpoint], first: usize) -> impl Iterator<Item = (usize, &Endpoint)> + Clone {
    let count = endpoints.len();
    (0..count).map(move |step| {
        let number = (first % count + step) % count;
        (number, &endpoints[number])
    })
}
