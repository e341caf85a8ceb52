//! The calls of a fleet's users, each written into the record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatekey_proto::v1::{CreateTokenRequest, DeletionReceipt, TokenType, Verdict};
use gatekey_simulation::history::{DeleteId, Place};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{Fleet, Record};
use crate::{Checked, Outcome, ROOMY, boottime, reason};

/// A token and its value, which is never shown.
#[derive(Clone)]
pub struct Token {
    /// Its id.
    pub id: i64,
    pub(super) value: String,
}

/// What became of the checks of one token by everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everywhere {
    /// How many accepted it.
    pub accepted: usize,
    /// How many rejected it.
    pub rejected: usize,
    /// How many could not tell, or gave no answer yet.
    pub silent: usize,
}

/// A delete that is under way; if its caller goes away, nothing is known of it.
struct Deleting<'a> {
    record: &'a Record,
    token: i64,
    delete: Option<DeleteId>,
}

/// Counts a check as under way.
struct Pending(Arc<Fleet>);

impl Fleet {
    /// Creates a batch token; nothing if the replica does not answer.
    ///
    /// # Panics
    /// If the replica answers with an internal error.
    pub async fn create(&self, replica: usize) -> Option<Token> {
        self.create_of(replica, TokenType::Batch).await
    }

    /// Creates a token of this type; nothing if the replica does not answer.
    pub(super) async fn create_of(&self, replica: usize, kind: TokenType) -> Option<Token> {
        let request = CreateTokenRequest {
            name: "of a fleet".to_owned(),
            r#type: kind.into(),
            years_valid: 1,
            request_id: String::new(),
        };
        let created = match timeout(self.lease, self.client(replica).create(request)).await {
            Ok(Ok(created)) => created,
            Ok(Err(status)) => {
                self.expect_of(&status);
                return None;
            }
            Err(_) => return None,
        };
        let id = created.token.expect("a token").id;
        self.record.created(id);
        Some(Token { id, value: created.token_value })
    }

    /// Deletes a token, with this time for an answer.
    ///
    /// # Errors
    /// As the replica answers.
    pub async fn delete(
        &self,
        replica: usize,
        token: &Token,
        within: Duration,
    ) -> Result<DeletionReceipt, Status> {
        let mut deleting = Deleting {
            record: &self.record,
            token: token.id,
            delete: Some(self.record.delete_invoked(token.id)),
        };
        let answer = self.client(replica).delete_within(token.id, within).await;
        match &answer {
            Ok(receipt) => {
                if let Some(delete) = deleting.delete.take() {
                    self.record.delete_returned(token.id, delete, receipt);
                }
            }
            Err(status) => {
                if status.code() == Code::NotFound {
                    self.record.broken(format!("lost write: token {} is not found by its delete", token.id));
                }
                self.expect_of(status);
                deleting.fail(format!("{:?} {}", status.code(), reason(status)));
            }
        }
        answer
    }

    /// Deletes a token with time enough for an answer.
    ///
    /// # Panics
    /// If the answer is not OK.
    pub async fn delete_for_sure(&self, replica: usize, token: &Token) -> DeletionReceipt {
        self.delete(replica, token, ROOMY).await.expect("deleted")
    }

    /// Deletes a token as its caller has to: repeats it, at one replica after the other, until it is done.
    ///
    /// # Panics
    /// If that does not come about.
    pub async fn delete_in_the_end(&self, first: usize, token: &Token) -> DeletionReceipt {
        let begun = Instant::now();
        for number in first.. {
            let within = self.wait() + Duration::from_secs(1);
            if let Ok(receipt) = self.delete(number % self.replicas.len(), token, within).await {
                return receipt;
            }
            assert!(begun.elapsed() < ROOMY, "it can't be deleted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("there is always another number")
    }

    /// A request with this token comes to a holder. It goes on though nobody waits for it.
    pub fn check(self: &Arc<Self>, holder: usize, token: &Token) -> JoinHandle<Option<Checked>> {
        let checked = self.holders[holder].check(&token.value);
        self.follow(token.id, Place::Holder(place(holder)), checked)
    }

    /// A service without a cache asks a replica. It goes on though nobody waits for it.
    pub fn verify(self: &Arc<Self>, replica: usize, token: &Token) -> JoinHandle<Option<Checked>> {
        let client = self.client(replica).clone();
        let value = token.value.clone();
        let checked = async move {
            let invoked = boottime();
            let outcome = match timeout(ROOMY / 2, client.verify(&value)).await {
                Ok(Ok(answer)) if answer.verdict() == Verdict::Active => Outcome::Accepted,
                Ok(Ok(_)) => Outcome::Rejected,
                Ok(Err(_)) | Err(_) => Outcome::CannotTell,
            };
            Some(Checked { outcome, cached: false, invoked, returned: boottime() })
        };
        self.follow(token.id, Place::Replica(place(replica)), checked)
    }

    fn follow(
        self: &Arc<Self>,
        token: i64,
        place: Place,
        checked: impl Future<Output = Option<Checked>> + Send + 'static,
    ) -> JoinHandle<Option<Checked>> {
        self.pending.send_modify(|pending| *pending += 1);
        let pending = Pending(Arc::clone(self));
        tokio::spawn(async move {
            let checked = checked.await;
            if let Some(checked) = &checked {
                pending.0.record.checked(token, place, checked);
            }
            checked
        })
    }

    /// Everybody checks a token at once, and is waited for this long.
    ///
    /// # Panics
    /// If a check panics.
    pub async fn check_everywhere(self: &Arc<Self>, token: &Token, within: Duration) -> Everywhere {
        let holders = (0..self.holders.len()).map(|holder| self.check(holder, token));
        let replicas = (0..self.replicas.len()).map(|replica| self.verify(replica, token));
        let checks: Vec<_> = holders.chain(replicas).collect();
        let checks = checks.into_iter().map(async |check| match timeout(within, check).await {
            Ok(checked) => checked.expect("no panic").map(|checked| checked.outcome),
            Err(_) => None,
        });
        let mut everywhere = Everywhere::default();
        for outcome in join_all(checks).await {
            match outcome {
                Some(Outcome::Accepted) => everywhere.accepted += 1,
                Some(Outcome::Rejected) => everywhere.rejected += 1,
                Some(Outcome::CannotTell) | None => everywhere.silent += 1,
            }
        }
        everywhere
    }

    /// Everybody checks a token that was deleted, and nobody accepts it.
    ///
    /// # Panics
    /// If somebody does.
    pub async fn nobody_accepts(self: &Arc<Self>, token: &Token) {
        let everywhere = self.check_everywhere(token, self.lease).await;
        assert_eq!(everywhere.accepted, 0, "{everywhere:?}");
    }

    /// Waits until no check is under way.
    ///
    /// # Panics
    /// If one stays.
    pub async fn settle(&self) {
        let mut pending = self.pending.subscribe();
        let settled = timeout(ROOMY, pending.wait_for(|pending| *pending == 0)).await;
        settled.expect("every check has an end").expect("the fleet is here");
    }

    /// Errors that a fault explains are fine, and internal ones are not.
    fn expect_of(&self, status: &Status) {
        let reason = reason(status);
        if reason.ends_with("INTERNAL") {
            self.record.broken(format!("an internal error: {}", status.message()));
        }
    }
}

impl Deleting<'_> {
    fn fail(&mut self, answer: String) {
        if let Some(delete) = self.delete.take() {
            self.record.delete_failed(self.token, delete, answer);
        }
    }
}

impl Drop for Deleting<'_> {
    fn drop(&mut self) {
        self.fail("given up".to_owned());
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.record.broken("a check panicked");
        }
        self.0.pending.send_modify(|pending| *pending -= 1);
    }
}

fn place(number: usize) -> u32 {
    u32::try_from(number).expect("few")
}
