//! A fleet that is well: every holder answers from its cache, and deletes are confirmed by all. And its end,
//! when all that was seen is judged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatekey_proto::v1::DeletionReceipt;
use gatekey_simulation::history::{Final, Totals};

use super::{Fleet, Token};
use crate::{Checked, Link, Outcome, ROOMY};

/// Between two looks.
const POLL: Duration = Duration::from_millis(20);

impl Fleet {
    /// A new token that every holder has in its cache and may use.
    ///
    /// # Panics
    /// If that does not come about.
    pub async fn warm_token(self: &Arc<Self>) -> Token {
        let all: Vec<usize> = (0..self.holders.len()).collect();
        self.token_warm_at(&all).await
    }

    /// A new token that these holders have in their caches and may use.
    ///
    /// # Panics
    /// If that does not come about.
    pub async fn token_warm_at(self: &Arc<Self>, holders: &[usize]) -> Token {
        let begun = Instant::now();
        let mut replica = 0;
        let token = loop {
            assert!(begun.elapsed() < ROOMY, "no replica creates a token");
            if let Some(token) = self.create(replica).await {
                break token;
            }
            replica = (replica + 1) % self.replicas.len();
        };
        join_all(holders.iter().map(|holder| self.warm(*holder, &token))).await;
        token
    }

    async fn warm(self: &Arc<Self>, holder: usize, token: &Token) {
        let begun = Instant::now();
        loop {
            let checked = self.check(holder, token).await.expect("no panic");
            if matches!(checked, Some(Checked { outcome: Outcome::Accepted, cached: true, .. })) {
                return;
            }
            assert!(begun.elapsed() < ROOMY, "holder {holder} does not use its cache: {checked:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the fleet is well: each holder uses its cache, and a delete is confirmed by all. Gives the
    /// receipt of that delete.
    ///
    /// # Panics
    /// If that does not come about.
    pub async fn recovers(self: &Arc<Self>) -> DeletionReceipt {
        let begun = Instant::now();
        loop {
            let token = self.warm_token().await;
            // Each is to confirm at one replica or another.
            for replica in 0..self.replicas.len() {
                if let Ok(receipt) = self.delete(replica, &token, ROOMY).await {
                    self.check_everywhere(&token, self.lease).await;
                    if receipt.leases_waited_out == 0 {
                        return receipt;
                    }
                    break;
                }
            }
            assert!(begun.elapsed() < ROOMY, "deletes are not confirmed by all");
        }
    }

    /// Makes every link whole and wakes every process.
    pub fn heal(&self) {
        for replica in &self.replicas {
            replica.callers.heal();
            replica.store.heal();
            replica.signal("CONT");
        }
        for holder in &self.holders {
            holder.set_links(Link::WHOLE);
            if holder.process().is_some() {
                holder.signal("CONT");
            }
        }
    }

    /// Ends the history: waits for what is under way, and asks the store what became of each token. What was
    /// seen in all; what must not have been is in the record.
    pub async fn finish(self: &Arc<Self>) -> Totals {
        self.settle().await;
        let found: Vec<(i64, bool)> =
            self.database.rows("SELECT id, revoked_seq IS NOT NULL FROM token").await;
        let found: HashMap<i64, bool> = found.into_iter().collect();
        self.record.finish(|id| match found.get(&id) {
            None => Final::Absent,
            Some(false) => Final::Live,
            Some(true) => Final::Revoked,
        })
    }

    /// The end of a test: the fleet gets well again, and nothing has happened that must not.
    ///
    /// # Panics
    /// Otherwise.
    pub async fn judge(self: &Arc<Self>) {
        self.heal();
        self.recovers().await;
        let totals = self.finish().await;
        let tally = self.record.tally();
        println!("{totals:?} {tally:?}");
        let violations = self.record.violations();
        assert!(violations.is_empty(), "{violations:#?}");
        assert!(totals.probes > 0 && tally.cached > 0, "nothing was shown");
    }
}
