//! A replica's answers to VerifyToken: from its own cache while its lease lives, or from the store. Without a lease
//! there is none.

use std::sync::Arc;

use gatekey_lease::{Digest, Position, Read, WallTime};
use gatekey_model::{Token, TokenDigest};

use super::shared::Shared;
use crate::{Snapshot, StoreError, StoredToken};

/// What is known of a digest.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) known: Known,
    /// The newest revocation that this knows of.
    pub(crate) revision: Position,
    /// Whether the asking holder may cache it.
    pub(crate) cacheable: bool,
}

/// A token, or none.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Unknown,
    Revoked(Arc<Token>),
    Live(Arc<Token>),
}

/// What is kept of a token that is no good: the token itself, if it is revoked.
pub(super) type Negative = Option<Arc<Token>>;

/// Why there is no answer: the replica has no lease, or lost it meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("this replica has no lease from the store now")]
struct NoLease;

impl From<NoLease> for StoreError {
    fn from(no_lease: NoLease) -> Self {
        Self::Unavailable(Box::new(no_lease))
    }
}

enum Begun {
    Known(Answer),
    Ask(Read),
}

pub(super) async fn look_up(
    shared: &Shared,
    token: &TokenDigest,
    asked: Option<Position>,
) -> Result<Answer, StoreError> {
    let digest = Digest(*token.as_bytes());
    match begin(shared, digest, asked)? {
        Begun::Known(answer) => Ok(answer),
        // Apart, so that the future of a hot call is small.
        Begun::Ask(read) => Box::pin(ask(shared, token, digest, read)).await,
    }
}

async fn ask(shared: &Shared, token: &TokenDigest, digest: Digest, read: Read) -> Result<Answer, StoreError> {
    let flight = Flight { shared, read: Some(read) };
    let sent = shared.clock.moment();
    let snapshot = shared.store.find_by_digest(token, Some(read.position)).await?;
    flight.end(digest, sent, snapshot)
}

fn begin(shared: &Shared, digest: Digest, asked: Option<Position>) -> Result<Begun, NoLease> {
    shared.with(|state, now| {
        if let Some(effect) = asked.and_then(|asked| state.machine.behind(asked)) {
            state.apply(now, vec![effect]);
        }
        let from = state.machine.from_cache(now, asked).ok_or(NoLease)?;
        let known = match state.cache.get(&digest) {
            Some((_, token)) => Some(Known::Live(Arc::clone(token))),
            None => state.negatives.get(&digest, now).cloned().map(negative),
        };
        if let Some(known) = known {
            shared.counts.hit();
            let cacheable = from.cacheable && matches!(known, Known::Live(_));
            return Ok(Begun::Known(Answer { known, revision: from.position, cacheable }));
        }
        shared.counts.miss();
        state.machine.send_read(now, digest, asked).map(Begun::Ask).ok_or(NoLease)
    })
}

fn negative(negative: Negative) -> Known {
    negative.map_or(Known::Unknown, Known::Revoked)
}

/// A read that is under way. Given up when dropped.
struct Flight<'a> {
    shared: &'a Shared,
    read: Option<Read>,
}

impl Flight<'_> {
    fn end(
        mut self,
        digest: Digest,
        sent: gatekey_lease::Moment,
        snapshot: Snapshot,
    ) -> Result<Answer, StoreError> {
        let Snapshot { found, head, epoch, contains_holder } = snapshot;
        let Some(read) = self.read.take() else { return Err(NoLease.into()) };
        self.shared.with(|state, now| {
            // From the very history in which the lease was had. Another server may have the same log: one that lost
            // creates in a failover, or that has missed those since.
            let contains_holder = contains_holder && state.machine.epoch() == Some(epoch);
            let answer = |known, cacheable| Answer { known, revision: head, cacheable };
            match found {
                Some(StoredToken { token, revoked: None }) => {
                    let good = state.machine.read_positive(now, read, contains_holder);
                    let Ok(good) = good else { return Err(NoLease.into()) };
                    let token = Arc::new(token);
                    let cacheable = good.cacheable;
                    if let Some(permit) = good.permit {
                        let expires = WallTime(token.expires.unix_micros());
                        state.cache.insert(permit, digest, expires, Arc::clone(&token));
                    }
                    Ok(answer(Known::Live(token), cacheable))
                }
                // A token that was revoked stays so, whoever says it; in memory only if history did not fork meanwhile.
                Some(StoredToken { token, revoked: Some(_) }) => {
                    let read = state.machine.read_positive(now, read, contains_holder);
                    let keep = read.is_ok_and(|read| read.permit.is_some());
                    let token = Arc::new(token);
                    if keep {
                        state.negatives.insert(digest, sent, Some(Arc::clone(&token)));
                    }
                    Ok(answer(Known::Revoked(token), false))
                }
                // Only the primary knows that there is none: an old one may have missed the token's creation.
                None => {
                    let read = state.machine.read_positive(now, read, contains_holder);
                    let Ok(read) = read else { return Err(NoLease.into()) };
                    if read.permit.is_some() {
                        state.negatives.insert(digest, sent, None);
                    }
                    Ok(answer(Known::Unknown, false))
                }
            }
        })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(read) = self.read.take() {
            self.shared.with(|state, _| state.machine.read_ended(read));
        }
    }
}
