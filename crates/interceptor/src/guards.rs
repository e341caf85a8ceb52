//! The tokens under which something goes on that has to be ended with them. Who waits for the end of one, and what it
//! does then, is left to others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Weak};

use gatekey_lease::{Digest, Moment, WallTime};

use crate::Ended;
use crate::known::Known;
use crate::verify::Asked;

/// Every token that somebody wants to be told the end of, by digest.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    tokens: BTreeMap<Digest, Vec<Guarded>>,
    /// When each expires.
    expiries: BTreeSet<(WallTime, Digest)>,
    /// Those that have to be verified anew, if somebody holds them still.
    doubtful: BTreeSet<Digest>,
    /// Where the next sweep begins.
    swept: Option<Digest>,
}

/// How many tokens a sweep looks at, where there are not many times more: the lock that it is done under is that of the
/// stream, too.
const SWEEP: usize = 1_024;
/// In how many sweeps each is looked at, however many there are.
const SWEEPS: usize = 16;

#[derive(Debug)]
struct Guarded {
    known: Weak<Known>,
    expires: WallTime,
    checksum: u32,
    /// Whether the stream tells of its revocation for sure; else it has to be verified anew.
    sure: bool,
}

impl Guards {
    /// Somebody wants to be told of this token's end. `sure` is whether it stands in the cache, so that the stream tells
    /// of its revocation: under the lock that the stream's messages are carried out under.
    pub(crate) fn watch(&mut self, known: &Arc<Known>, sure: bool) {
        self.expiries.insert((known.expires, known.digest));
        if !sure {
            self.doubtful.insert(known.digest);
        }
        self.tokens.entry(known.digest).or_default().push(Guarded {
            known: Arc::downgrade(known),
            expires: known.expires,
            checksum: known.checksum,
            sure,
        });
    }

    /// Ends what goes on under these tokens.
    pub(crate) fn end(&mut self, digests: &[Digest], why: Ended) {
        for digest in digests {
            for known in self.take(digest) {
                known.end(why);
            }
        }
    }

    /// Ends what goes on under tokens whose time is over; the digests of those.
    pub(crate) fn expire(&mut self, now: WallTime) -> Vec<Digest> {
        let mut over = Vec::new();
        while let Some((expires, digest)) = self.expiries.first().copied()
            && expires <= now
        {
            self.end(&[digest], Ended::Expired);
            over.push(digest);
        }
        over
    }

    /// Ends what goes on under any token; the digests of all.
    pub(crate) fn end_all(&mut self, why: Ended) -> Vec<Digest> {
        let digests: Vec<Digest> = self.tokens.keys().copied().collect();
        self.end(&digests, why);
        digests
    }

    /// Ends what goes on under tokens that were verified too long ago; the digests of those.
    pub(crate) fn end_unverified(&mut self, too_long: impl Fn(Moment) -> bool) -> Vec<Digest> {
        let over = |guarded: &[Guarded]| {
            guarded.iter().filter_map(|one| one.known.upgrade()).all(|known| too_long(known.verified()))
        };
        let digests: Vec<Digest> =
            self.tokens.iter().filter(|(_, guarded)| over(guarded)).map(|(digest, _)| *digest).collect();
        self.end(&digests, Ended::Unavailable);
        digests
    }

    /// A server that was asked then called this token good.
    pub(crate) fn verified(&self, digest: &Digest, asked: Moment) {
        for known in self.tokens.get(digest).into_iter().flatten().filter_map(|one| one.known.upgrade()) {
            known.verified_again(asked);
        }
    }

    /// History may have forked: every token has to be verified anew.
    pub(crate) fn doubt_all(&mut self) {
        for guarded in self.tokens.values_mut().flatten() {
            guarded.sure = false;
        }
        self.doubtful.extend(self.tokens.keys());
    }

    /// The stream tells of this token's revocation from now on.
    pub(crate) fn trust(&mut self, digest: &Digest) {
        for guarded in self.tokens.get_mut(digest).into_iter().flatten() {
            guarded.sure = true;
        }
        self.doubtful.remove(digest);
    }

    /// Those that have to be verified anew.
    pub(crate) fn doubtful(&self) -> Vec<Asked> {
        let doubtful = |guarded: &&Guarded| !guarded.sure && guarded.known.strong_count() > 0;
        let asked = |digest: &Digest| {
            let one = self.tokens.get(digest)?.iter().find(doubtful)?;
            Some(Asked { digest: *digest, checksum: one.checksum })
        };
        self.doubtful.iter().filter_map(asked).collect()
    }

    /// Forgets tokens that nobody holds any more but the cache, which does so in as many places as `cached` says: some at a
    /// time. Who takes one from there says so again.
    pub(crate) fn sweep(&mut self, cached: impl Fn(&Arc<Known>) -> usize) {
        let from = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let most = SWEEP.max(self.tokens.len() / SWEEPS);
        let some: Vec<Digest> =
            self.tokens.range((from, Bound::Unbounded)).map(|(digest, _)| *digest).take(most).collect();
        // From the beginning again after the last.
        self.swept = some.last().copied().filter(|_| some.len() == most);
        for digest in some {
            let Some(guarded) = self.tokens.get_mut(&digest) else { continue };
            // A token never changes, so all of one digest expire at the same time.
            let expires = guarded.first().map(|guarded| guarded.expires);
            guarded.retain(|guarded| {
                let known = guarded.known.upgrade();
                known.is_some_and(|known| {
                    known.stays_listed(|| Arc::strong_count(&known) > 1 + cached(&known))
                })
            });
            if guarded.is_empty() {
                self.tokens.remove(&digest);
                self.doubtful.remove(&digest);
                if let Some(expires) = expires {
                    self.expiries.remove(&(expires, digest));
                }
            }
        }
    }

    /// How many tokens are guarded.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    fn take(&mut self, digest: &Digest) -> Vec<Arc<Known>> {
        let guarded = self.tokens.remove(digest).unwrap_or_default();
        self.doubtful.remove(digest);
        for guarded in &guarded {
            self.expiries.remove(&(guarded.expires, *digest));
        }
        guarded.into_iter().filter_map(|guarded| guarded.known.upgrade()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::tests::{known, known_as};

    fn guarded(bytes: impl IntoIterator<Item = u8>) -> (Guards, Vec<Arc<Known>>) {
        let mut guards = Guards::default();
        let known: Vec<_> = bytes.into_iter().map(|byte| Arc::new(known(byte))).collect();
        for known in &known {
            guards.watch(known, true);
        }
        (guards, known)
    }

    fn digest(byte: u8) -> Digest {
        Digest([byte; 32])
    }

    #[test]
    fn only_the_revoked_are_ended_every_copy_of_them() {
        let (mut guards, known) = guarded([1, 1, 2]);
        guards.end(&[digest(1), digest(9)], Ended::Revoked);
        let ended: Vec<_> = known.iter().map(|known| known.ended()).collect();
        assert_eq!(ended, [Some(Ended::Revoked), Some(Ended::Revoked), None]);
        assert_eq!((guards.len(), guards.expiries.len()), (1, 1));
    }

    #[test]
    fn the_expired_are_ended_at_their_time_and_not_before() {
        let (mut guards, known) = guarded([1]);
        let WallTime(expires) = known[0].expires;
        assert_eq!(guards.expire(WallTime(expires - 1)), []);
        assert_eq!(guards.expire(WallTime(expires)), [digest(1)]);
        assert_eq!(known[0].ended(), Some(Ended::Expired));
        assert_eq!((guards.len(), guards.expiries.len()), (0, 0));
    }

    #[test]
    fn what_is_in_doubt_is_told_until_it_is_verified() {
        let (mut guards, known) = guarded([1, 2]);
        let doubtful =
            |guards: &Guards| -> Vec<Digest> { guards.doubtful().iter().map(|asked| asked.digest).collect() };
        assert_eq!(doubtful(&guards), []);
        guards.doubt_all();
        assert_eq!(doubtful(&guards), [digest(1), digest(2)]);
        guards.trust(&digest(1));
        assert_eq!(doubtful(&guards), [digest(2)]);
        drop(known);
        assert_eq!(doubtful(&guards), [], "nobody holds it any more");
    }

    #[test]
    fn only_those_end_that_were_not_verified_since() {
        let (mut guards, known) = guarded([1, 1, 2]);
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
        guards.verified(&digest(1), at(5));
        guards.verified(&digest(1), at(3));
        guards.verified(&digest(9), at(9));
        assert_eq!(guards.end_unverified(|verified| verified < at(5)), [digest(2)]);
        let ended: Vec<_> = known.iter().map(|known| known.ended()).collect();
        assert_eq!(ended, [None, None, Some(Ended::Unavailable)]);
        assert_eq!(guards.end_unverified(|verified| verified < at(6)), [digest(1)]);
        assert_eq!((guards.len(), guards.expiries.len()), (0, 0));
    }

    #[test]
    fn what_only_the_cache_holds_is_forgotten_and_can_come_again() {
        let (mut guards, cached) = guarded([1, 1, 2]);
        let mut held: Vec<_> = cached.iter().map(Arc::clone).collect();
        assert!(held.iter().all(|known| known.is_to_be_listed()));
        guards.doubt_all();
        guards.sweep(|_| 1);
        assert_eq!((guards.len(), guards.expiries.len(), guards.doubtful.len()), (2, 2, 2));
        held.remove(0);
        guards.sweep(|_| 1);
        assert_eq!((guards.len(), guards.expiries.len(), guards.doubtful.len()), (2, 2, 2));
        held.remove(0);
        guards.sweep(|_| 1);
        assert_eq!((guards.len(), guards.expiries.len(), guards.doubtful.len()), (1, 1, 1));
        assert!(cached[0].is_to_be_listed() && !cached[2].is_to_be_listed());
        assert_eq!(guards.end_all(Ended::Unavailable), [digest(2)]);
        assert_eq!(cached[2].ended(), Some(Ended::Unavailable));
        assert_eq!((guards.len(), guards.expiries.len(), guards.doubtful.len()), (0, 0, 0));
    }

    #[test]
    fn a_sweep_looks_at_some_and_the_next_at_the_others() {
        let mut guards = Guards::default();
        for number in 0..u32::try_from(2 * SWEEP + 1).expect("few") {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            guards.watch(&Arc::new(known_as(Digest(bytes), number)), true);
        }
        let left = [0; 4].map(|_| {
            guards.sweep(|_| 0);
            guards.len()
        });
        assert_eq!(left, [SWEEP + 1, 1, 0, 0]);
    }
}
