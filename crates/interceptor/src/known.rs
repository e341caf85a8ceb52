//! What is known of a verified token, shared by the cache and by every request under it. When the cache may use it is
//! left to `gatekey-lease`.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use event_listener::{Event, EventListener};
use gatekey_lease::{Digest, Moment, WallTime};
use gatekey_model::TokenType;
use gatekey_proto::v1;

use crate::Ended;
use crate::shared::Shared;

/// A token that a server called good. What a hit reads lies together, in as little memory as it can: with the counts of its
/// `Arc`, 72 bytes.
#[repr(C)]
pub(crate) struct Known {
    pub(crate) digest: Digest,
    /// Microseconds since 1970.
    pub(crate) expires: WallTime,
    rest: Box<Rest>,
    /// That of its value: where it stands in the cache.
    pub(crate) checksum: u32,
    ended: AtomicU8,
    pub(crate) kind: TokenType,
    /// Somebody wants to be told of its end, so that it is in the list of guarded tokens.
    watched: AtomicBool,
    /// It was looked up since the hand came by: see `cache.rs`.
    pub(crate) used: AtomicBool,
}

struct Rest {
    event: Event,
    home: Weak<Shared>,
    /// When a server was asked last of those that called it good.
    verified: AtomicU64,
    id: i64,
    /// Its name, its key and its tenant.
    texts: Box<str>,
    /// Where the first two of them end.
    ends: [u32; 2],
}

/// The server's answer breaks the contract: a good token without what every token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server called a token good and did not say which, or until when")]
pub(crate) struct Nameless;

impl Known {
    pub(crate) fn new(
        digest: Digest,
        checksum: u32,
        token: &v1::Token,
        verified: Moment,
        home: Weak<Shared>,
    ) -> Result<Self, Nameless> {
        let expires = token.expire_time.ok_or(Nameless)?;
        let kind = match token.r#type() {
            v1::TokenType::Batch => TokenType::Batch,
            v1::TokenType::Realtime => TokenType::Realtime,
            v1::TokenType::Unspecified => return Err(Nameless),
        };
        let v1::Token { id, name, key, tenant, .. } = token;
        let end = |length: usize| u32::try_from(length).map_err(|_| Nameless);
        let ends = [end(name.len())?, end(name.len() + key.len())?];
        let texts = [name.as_str(), key, tenant].concat().into();
        let verified = AtomicU64::new(verified.nanos());
        let rest = Box::new(Rest { event: Event::new(), home, verified, id: *id, texts, ends });
        Ok(Self {
            digest,
            expires: micros(expires.seconds, expires.nanos),
            rest,
            checksum,
            ended: AtomicU8::new(0),
            kind,
            watched: AtomicBool::new(false),
            used: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> i64 {
        self.rest.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.rest.texts[..self.rest.ends[0] as usize]
    }

    pub(crate) fn key(&self) -> &str {
        &self.rest.texts[self.rest.ends[0] as usize..self.rest.ends[1] as usize]
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.rest.texts[self.rest.ends[1] as usize..]
    }

    /// When a server was asked last of those that called it good.
    pub(crate) fn verified(&self) -> Moment {
        Moment::from_nanos(self.rest.verified.load(Ordering::Relaxed))
    }

    /// A server that was asked then called it good.
    pub(crate) fn verified_again(&self, asked: Moment) {
        self.rest.verified.fetch_max(asked.nanos(), Ordering::Relaxed);
    }

    /// Whoever tells of its end; nobody if that is gone.
    pub(crate) fn home(&self) -> Option<Arc<Shared>> {
        self.rest.home.upgrade()
    }

    /// Whether nothing may go on under it, and why. One load.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self.ended.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Ended::Revoked),
            2 => Some(Ended::Expired),
            _ => Some(Ended::Unavailable),
        }
    }

    /// Nothing goes on under it from now on. The first reason stands.
    pub(crate) fn end(&self, why: Ended) {
        let code = match why {
            Ended::Revoked => 1,
            Ended::Expired => 2,
            Ended::Unavailable => 3,
        };
        if self.ended.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.rest.event.notify(usize::MAX);
        }
    }

    /// The same token, under which something may go on.
    pub(crate) fn afresh(&self) -> Self {
        let Rest { home, verified, id, texts, ends, .. } = &*self.rest;
        let verified = AtomicU64::new(verified.load(Ordering::Relaxed));
        let (home, texts) = (Weak::clone(home), texts.clone());
        let rest = Box::new(Rest { event: Event::new(), home, verified, id: *id, texts, ends: *ends });
        Self {
            digest: self.digest,
            expires: self.expires,
            rest,
            checksum: self.checksum,
            ended: AtomicU8::new(0),
            kind: self.kind,
            watched: AtomicBool::new(false),
            used: AtomicBool::new(self.used.load(Ordering::Relaxed)),
        }
    }

    /// Whether it has to be put into the list of guarded tokens, by whoever waits for its end and listens already.
    pub(crate) fn is_to_be_listed(&self) -> bool {
        !self.watched.swap(true, Ordering::SeqCst)
    }

    /// Whether it stays in that list, for somebody holds it. If nobody does, whoever will puts it there anew. Under the lock of
    /// the list.
    pub(crate) fn stays_listed(&self, is_held: impl Fn() -> bool) -> bool {
        if is_held() {
            return true;
        }
        // Who came between held it before looking whether it is listed: this swap comes after that look, or before it.
        self.watched.swap(false, Ordering::SeqCst);
        let held = is_held();
        if held {
            self.watched.store(true, Ordering::SeqCst);
        }
        held
    }

    /// Resolves at its end; look at [`Self::ended`] after this returned, and when it resolves.
    pub(crate) fn listen(&self) -> EventListener {
        self.rest.event.listen()
    }
}

/// Microseconds since 1970.
fn micros(seconds: i64, nanos: i32) -> WallTime {
    WallTime(seconds.saturating_mul(1_000_000).saturating_add(i64::from(nanos / 1_000)))
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("id", &self.id())
            .field("key", &self.key())
            .field("kind", &self.kind)
            .field("tenant", &self.tenant())
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn token(id: i64) -> v1::Token {
        v1::Token {
            id,
            name: "a token".to_owned(),
            key: "gk_b_00000000".to_owned(),
            r#type: v1::TokenType::Batch.into(),
            expire_time: Some(prost_types::Timestamp { seconds: i64::from(u32::MAX), nanos: 0 }),
            tenant: "acme".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) fn known(byte: u8) -> Known {
        known_as(Digest([byte; 32]), byte.into())
    }

    pub(crate) fn known_as(digest: Digest, checksum: u32) -> Known {
        Known::new(digest, checksum, &token(1), Moment::NEVER, Weak::new()).expect("whole")
    }

    #[test]
    fn the_first_end_stands_and_wakes_everybody() {
        let known = known(1);
        let mut first = known.listen();
        let second = known.listen();
        assert_eq!(known.ended(), None);
        known.end(Ended::Expired);
        known.end(Ended::Revoked);
        assert_eq!(known.ended(), Some(Ended::Expired));
        assert!(
            std::pin::Pin::new(&mut first)
                .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
                .is_ready()
        );
        event_listener::Listener::wait(second);
    }

    #[test]
    fn a_token_is_taken_only_whole() {
        let new = |token| Known::new(Digest([1; 32]), 1, &token, Moment::NEVER, Weak::new());
        assert!(new(v1::Token { expire_time: None, ..token(1) }).is_err());
        assert!(new(v1::Token { r#type: 0, ..token(1) }).is_err());
        let known = new(v1::Token { name: "größe".to_owned(), ..token(7) }).expect("whole");
        let told = (known.id(), known.name(), known.key(), known.tenant());
        assert_eq!(told, (7, "größe", "gk_b_00000000", "acme"));
        let known = new(v1::Token { name: String::new(), tenant: String::new(), ..token(7) }).expect("whole");
        assert_eq!((known.name(), known.key(), known.tenant()), ("", "gk_b_00000000", ""));
    }

    #[test]
    fn it_is_small() {
        // The first with the two counts of its `Arc`; docs/interceptor.md gives the memory of a cached token.
        assert_eq!((size_of::<Known>() + 16, size_of::<Rest>()), (72, 56));
    }
}
