//! The handle of a connected interceptor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gatekey_access::presented;
use gatekey_lease::Digest;
use gatekey_model::PresentedToken;
use http::HeaderMap;
use tokio::sync::{broadcast, watch};

use crate::counters::Count;
use crate::layer::Found;
use crate::shared::Shared;
use crate::token::fits;
use crate::verify::Asked;
use crate::{Access, Builder, Event, GatekeyLayer, Health, Refusal, Rule, Stats, VerifiedToken};

/// How long the threads of an interceptor are waited for when it shuts down.
const FAREWELL: Duration = Duration::from_secs(3);

/// A connection to Gatekey: the stream that keeps a lease, the cache of good tokens under it, and the servers to ask
/// otherwise. Make one for a process, by [`Gatekey::builder`]; clones share it.
///
/// Its work is done on two threads of its own, so that neither a busy service nor a flood of unknown tokens costs the
/// lease. When the last clone and the last layer are dropped it takes its leave by itself, so that no delete waits for it;
/// [`Gatekey::shutdown`] waits until that is done.
#[derive(Clone)]
pub struct Gatekey {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
}

/// Ends the threads when it is dropped.
pub(crate) struct Handle {
    pub(crate) leave: watch::Sender<Leaving>,
    /// Whether the stream's thread has ended.
    pub(crate) left: watch::Receiver<bool>,
}

/// How the stream's thread is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Not at all.
    Not,
    /// It says so to the server.
    WithAWord,
    /// As a crash does.
    #[cfg_attr(not(any(test, feature = "test-util")), expect(dead_code, reason = "tests only"))]
    Without,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.leave.send_if_modified(leave);
    }
}

fn leave(leaving: &mut Leaving) -> bool {
    let stays = *leaving == Leaving::Not;
    if stays {
        *leaving = Leaving::WithAWord;
    }
    stays
}

impl Gatekey {
    pub(crate) fn new(shared: Arc<Shared>, handle: Handle) -> Self {
        Self { shared, handle: Arc::new(handle) }
    }

    /// Begins to connect to these servers, each `http://HOST:PORT`. A name stands for all addresses that it resolves to,
    /// as that of a headless service of Kubernetes does.
    pub fn builder<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Builder {
        Builder::new(endpoints.into_iter().map(Into::into).collect())
    }

    /// A layer that lets in who has the token that the rules ask for: one [`TokenType`](crate::TokenType) or [`Rule`] for
    /// everything, or a table by [`Access::routes`].
    #[must_use]
    pub fn layer(&self, access: impl Into<Access>) -> GatekeyLayer {
        GatekeyLayer::new(self.clone(), access.into())
    }

    /// Checks a token value by hand, for what comes another way than by HTTP or gRPC. Where there is a check there is a token: what
    /// is [`Rule::Public`] is not to be checked.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn verify(&self, value: &str, rule: impl Into<Rule>) -> Result<VerifiedToken, Refusal> {
        let presented = PresentedToken::parse(value).map_err(|_| Refusal::Invalid);
        let found = presented.and_then(|presented| self.look(&presented, rule.into()));
        found.inspect_err(|refusal| self.count_refusal(*refusal))?.token().await
    }

    /// Checks the `authorization` of a request by hand, as the layer does where the rule asks for a token. It asks for one under
    /// [`Rule::Public`] too: look at [`Access::rule`] before.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn verify_headers(
        &self,
        headers: &HeaderMap,
        rule: impl Into<Rule>,
    ) -> Result<VerifiedToken, Refusal> {
        self.find(headers, rule.into())?.token().await
    }

    /// The check of `authorization` as far as it needs no server: the very code that the layer runs on a hit. `None` if a
    /// server has to be asked. No lock, no waiting, and no allocation but for a thread's first.
    ///
    /// # Errors
    /// Why it was refused.
    #[inline]
    pub fn check_cached(&self, headers: &HeaderMap, rule: Rule) -> Result<Option<VerifiedToken>, Refusal> {
        match self.hit(&presented(headers)?, rule) {
            Ok(hit) => hit.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The check of a request's headers; a future for what is not in memory.
    #[inline]
    pub(crate) fn find(&self, headers: &HeaderMap, rule: Rule) -> Result<Found, Refusal> {
        let found = presented(headers).and_then(|presented| self.look(&presented, rule));
        found.inspect_err(|refusal| self.count_refusal(*refusal))
    }

    /// Digest, cache under the lease.
    #[inline]
    fn look(&self, presented: &PresentedToken<'_>, rule: Rule) -> Result<Found, Refusal> {
        match self.hit(presented, rule) {
            Ok(hit) => hit.map(Found::Token),
            Err(digest) => {
                let asked = Asked { digest, checksum: presented.checksum() };
                Ok(Found::Missed(Box::pin(self.clone().missed(asked, rule))))
            }
        }
    }

    /// What a hit gives, or the digest of what was missed.
    #[inline]
    fn hit(
        &self,
        presented: &PresentedToken<'_>,
        rule: Rule,
    ) -> Result<Result<VerifiedToken, Refusal>, Digest> {
        let known = self.shared.cached(presented)?;
        Ok(fits(&known, rule).map(|()| {
            self.shared.counters.count(Count::Cached);
            VerifiedToken::new(known, true)
        }))
    }

    async fn missed(self, asked: Asked, rule: Rule) -> Result<VerifiedToken, Refusal> {
        let verified = self.shared.verify(asked).await;
        let token = verified
            .and_then(|(known, cached)| fits(&known, rule).map(|()| VerifiedToken::new(known, cached)));
        self.shared.counters.count(match &token {
            Ok(token) if token.is_from_cache() => Count::Cached,
            Ok(_) => Count::Verified,
            Err(refusal) => Count::Refused(*refusal),
        });
        token
    }

    pub(crate) fn count_refusal(&self, refusal: Refusal) {
        self.shared.counters.count(Count::Refused(refusal));
    }

    /// No rule says who may call this path.
    pub(crate) fn unruled(&self, path: &str) {
        self.count_refusal(Refusal::NoRule);
        self.shared.unruled(path);
    }

    /// Waits until there is a lease, so that good tokens are answered from memory. May wait for ever: put it under a
    /// timeout, and serve without a lease after that.
    pub async fn leased(&self) {
        let mut leased = self.shared.leased.subscribe();
        // The sender is part of what is shared, so it can't be gone.
        leased.wait_for(|until| self.shared.clock.moment() < *until).await.ok();
    }

    /// How it stands now: for a readiness probe, or a page for operators. Being without a lease is no reason to take a
    /// service out: it verifies each token by a server then.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// What it has done since it was connected.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }

    /// What happens from now on. A listener that is more than 256 events behind misses the oldest.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Forgets everything, and begins anew at a server: for a machine that was paused by something that its clock does not
    /// count, such as a restored snapshot of a virtual machine. Call it before the first request after the pause. It is
    /// another holder from then on, so it does no harm if the original goes on beside its copy.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Takes its leave: from now on no delete waits for this process, and none is told to it. New requests are still verified, each by
    /// a server, but open streams go on for [`stream_grace`](Builder::stream_grace) at the most, whatever becomes of their
    /// tokens: call it once the service has drained. Waits for the server's word, for 3 seconds at the most.
    pub async fn shutdown(&self) {
        self.handle.leave.send_if_modified(leave);
        let mut left = self.handle.left.clone();
        // If it does not end, its lease does.
        tokio::time::timeout(FAREWELL, left.wait_for(|left| *left)).await.ok();
    }

    /// Ends the stream without a word, as the crash of the process would: for tests of what a delete waits for.
    #[cfg(any(test, feature = "test-util"))]
    pub fn crash(&self) {
        self.handle.leave.send_replace(Leaving::Without);
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Gatekey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatekey").field("health", &self.health()).finish_non_exhaustive()
    }
}
