//! What an operator does on a bad day: revoke many tokens, as strictly as a delete is, and begin an epoch after a restore.
//!
//! Runs in a process of its own, which is no replica: it commits as deletes do and waits for the rows of all replicas, by
//! the same machine (`gatekey_lease::Deletion`). Who may do it is decided by who has the store.

mod in_force;
mod port;

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Moment, Nonce, Position, Receipt, Seq};
use gatekey_model::TokenId;

pub use in_force::NotInForce;
pub use port::{EpochBegun, OperatorStore, RevokedToken, SelectedToken, Selection};

use crate::{Act, Clock, Error, Revocation, StoreError};

/// How many tokens are read at once.
const PAGE: u32 = 1_000;
/// How many tokens are deleted in one transaction: while it commits, all other deletes wait for it.
pub const BATCH: usize = 500;

/// Who vouches for an operator in the audit log: whoever has the store.
const ISSUER: &str = "gatekey-operator";

/// Does what an operator asks for.
#[derive(Clone)]
pub struct Operator {
    store: Arc<dyn OperatorStore>,
    clock: Arc<dyn Clock>,
}

/// A run of deletes: what it has committed so far.
#[derive(Debug)]
pub struct Run {
    act: Act,
    begun: Moment,
    /// The newest entry that has to be in force.
    newest: Revocation,
    /// The last entry of each transaction: history has not forked while it has all of them.
    marks: Vec<Position>,
}

impl Run {
    /// The id under which the audit log has it.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.act.call_id
    }

    /// Somebody else may have deleted a token since it was selected, after all that was committed here: that has to be in
    /// force, too.
    fn saw(&mut self, revocation: Revocation) {
        let max_lease = self.newest.max_lease.max(revocation.max_lease);
        if revocation.position.seq > self.newest.position.seq {
            self.newest = revocation;
        }
        self.newest.max_lease = max_lease;
    }

    /// How long it can take until all of it is in force, from its last commit on.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.newest.max_lease + self.newest.max_lease / 4
    }
}

impl Operator {
    /// An operator with a store.
    pub fn new(store: Arc<dyn OperatorStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// All tokens of a selection, deleted ones too, by id.
    pub async fn select(&self, selection: &Selection) -> Result<Vec<SelectedToken>, StoreError> {
        let mut selected: Vec<SelectedToken> = Vec::new();
        loop {
            let after = selected.last().map(|last| last.token.id);
            let page = self.store.select_tokens(selection, after, PAGE).await?;
            let more = page.len() >= PAGE as usize;
            selected.extend(page);
            if !more {
                return Ok(selected);
            }
        }
    }

    /// Where the log stands.
    pub async fn head(&self) -> Result<Position, StoreError> {
        self.store.head().await
    }

    /// Whether the log of this database has come by there.
    pub async fn has_come_by(&self, position: Position) -> Result<bool, StoreError> {
        Ok(self.store.replica_rows(&[position]).await?.contained.contains(&position))
    }

    /// All revocations after this number up to where the log stood before they were read, in its order: whoever asks from
    /// there the next time misses none.
    pub async fn revoked_after(&self, seq: Seq) -> Result<(Position, Vec<RevokedToken>), StoreError> {
        let head = self.store.head().await?;
        let mut revoked: Vec<RevokedToken> = Vec::new();
        loop {
            let after = revoked.last().map(|last| last.id);
            let page = self.store.revoked_tokens(seq, after, PAGE).await?;
            let more = page.len() >= PAGE as usize;
            revoked.extend(page);
            if !more {
                revoked.retain(|revoked| revoked.position.seq <= head.seq);
                revoked.sort_by_key(|revoked| revoked.position.seq);
                return Ok((head, revoked));
            }
        }
    }

    /// Begins a run: puts on record who does it, and why.
    pub async fn begin(&self, subject: &str, reason: Option<&str>) -> Result<Run, Error> {
        let begun = self.clock.moment();
        let call_id = format!("revoke-{:016x}", getrandom::u64()?);
        let at = self.clock.now();
        let act = Act { issuer: ISSUER.to_owned(), subject: subject.to_owned(), tenant: None, at, call_id };
        let newest = self.store.begin_run(&act, reason).await?;
        Ok(Run { act, begun, newest, marks: Vec::new() })
    }

    /// Deletes up to [`BATCH`] tokens in one transaction. They are committed when this returns, and in force after
    /// [`Self::in_force`].
    pub async fn revoke(
        &self,
        run: &mut Run,
        tokens: &[TokenId],
    ) -> Result<Vec<(TokenId, Revocation)>, Error> {
        let nonce = |id: &TokenId| Ok((*id, Nonce::from_bits(getrandom::u64()?)));
        let tokens = tokens.iter().map(nonce).collect::<Result<Vec<_>, getrandom::Error>>()?;
        let act = Act { at: self.clock.now(), ..run.act.clone() };
        let mut revoked = self.store.revoke_tokens(tokens, &act).await?;
        revoked.sort_unstable_by_key(|(id, _)| *id);
        for (_, revocation) in &revoked {
            run.saw(*revocation);
        }
        let new = revoked.iter().filter(|(_, revocation)| !revocation.repeated);
        run.marks.extend(new.map(|(_, revocation)| revocation.position).max_by_key(|position| position.seq));
        Ok(revoked)
    }

    /// Waits until all that a run has committed, and all that it found deleted before, is in force everywhere.
    pub async fn in_force(&self, run: &Run) -> Result<Receipt, NotInForce> {
        in_force::wait(self, run).await
    }

    /// Begins an epoch, as after a restored backup: every replica and every holder drops what it remembers before it is
    /// granted another lease. The number is drawn at random, as a number that counts could be one that the database
    /// had before it was restored once more.
    pub async fn begin_epoch(&self) -> Result<EpochBegun, Error> {
        loop {
            // As many bits as the stores have for it, and never the first epoch of a database.
            let epoch = (getrandom::u32()? >> 1).max(1);
            let begun = self.store.begin_epoch(epoch).await?;
            if begun.before != i64::from(epoch) {
                return Ok(begun);
            }
        }
    }

    /// Waits until every lease from before an epoch began is over.
    pub async fn leases_over(&self, begun: &EpochBegun) -> Duration {
        in_force::leases_over(self, begun).await
    }
}
