//! What a handler sees of the caller's token.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatekey_access::decide;
use gatekey_model::{TokenType, Verdict};

use crate::guard::Revoked;
use crate::known::Known;
use crate::{Ended, Refusal, Rule};

/// The token under which a request came: who calls. In the request's extensions, and never the token's value.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct VerifiedToken {
    known: Arc<Known>,
    from_cache: bool,
}

impl VerifiedToken {
    pub(crate) const fn new(known: Arc<Known>, from_cache: bool) -> Self {
        Self { known, from_cache }
    }

    /// Identifies the token within Gatekey; positive, never used twice.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.known.id()
    }

    /// What its creator called it. Not unique.
    #[must_use]
    pub fn name(&self) -> &str {
        self.known.name()
    }

    /// The public part of its value (`gk_b_4fZk91Qd`), for logs.
    #[must_use]
    pub fn key(&self) -> &str {
        self.known.key()
    }

    /// What it may be used for.
    #[must_use]
    pub fn token_type(&self) -> TokenType {
        self.known.kind
    }

    /// The organisation that it belongs to.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.known.tenant()
    }

    /// From when on it is not accepted any more, to the microsecond.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        let micros = u64::try_from(self.known.expires.0).unwrap_or(0);
        UNIX_EPOCH + Duration::from_micros(micros)
    }

    /// Whether the answer came from memory.
    #[must_use]
    pub fn is_from_cache(&self) -> bool {
        self.from_cache
    }

    /// Resolves as soon as nothing may go on under this token: it was revoked, it has expired, or there has been no lease
    /// for longer than open streams may go on without one.
    ///
    /// The layer ends the bodies of requests and responses by itself. This is for what goes on outside of them: WebSockets,
    /// tasks in the background.
    ///
    /// ```
    /// # use gatekey_interceptor::VerifiedToken;
    /// # async fn converse() {}
    /// # async fn close(_: &str) {}
    /// async fn listen(token: VerifiedToken) {
    ///     // Around all that waits, sending included: a client that does not read must not keep it from ending.
    ///     tokio::select! {
    ///         ended = token.revoked() => close(ended.refusal().message()).await,
    ///         () = converse() => {}
    ///     }
    /// }
    /// ```
    pub fn revoked(&self) -> Revoked {
        Revoked::new(Arc::clone(&self.known))
    }

    /// Whether [`Self::revoked`] would resolve at once, and with what. Before the first poll of a `revoked()` for this
    /// token it may not know yet.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.known.ended()
    }
}

/// Whether a good token, one that has not expired, is one that the rule asks for.
#[inline]
pub(crate) fn fits(known: &Known, rule: Rule) -> Result<(), Refusal> {
    decide(Verdict::on_live(false, known.kind, rule.required()), rule)
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("id", &self.id())
            .field("key", &self.key())
            .field("token_type", &self.token_type())
            .field("tenant", &self.tenant())
            .field("expires_at", &self.expires_at())
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}
