//! Waiting for a token's end: by hand, and in the bodies of requests and responses.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use event_listener::EventListener;

use crate::Refusal;
use crate::known::Known;

/// Why nothing may go on under a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// There has been no lease for longer than open streams may go on without one, so that nobody could say if it were
    /// revoked.
    Unavailable,
}

impl Ended {
    /// What is said to the client.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Revoked | Self::Expired => Refusal::Invalid,
            Self::Unavailable => Refusal::Unverifiable,
        }
    }
}

/// For logs: clients are told [`Ended::refusal`], which does not say revoked from expired.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "the API token was revoked",
            Self::Expired => "the API token has expired",
            Self::Unavailable => "API tokens can't be verified any more",
        })
    }
}

impl std::error::Error for Ended {}

/// Resolves when nothing may go on under a token any more: see [`VerifiedToken::revoked`](crate::VerifiedToken::revoked).
///
/// Cancel safe: it can be polled in a `select!` in a loop.
#[must_use = "futures do nothing unless they are polled"]
pub struct Revoked {
    known: Arc<Known>,
    /// Registered at the first poll: most requests end before there is one.
    listener: Option<EventListener>,
}

impl Revoked {
    pub(crate) const fn new(known: Arc<Known>) -> Self {
        Self { known, listener: None }
    }

    /// Whether it has come to that, and why.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.known.ended()
    }
}

impl Future for Revoked {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        loop {
            // Registered first, then looked again, so that no end slips between.
            if let Some(ended) = self.known.ended() {
                return Poll::Ready(ended);
            }
            let this = &mut *self;
            match &mut this.listener {
                Some(listener) => match Pin::new(listener).poll(context) {
                    Poll::Ready(()) => this.listener = None,
                    Poll::Pending => return Poll::Pending,
                },
                // Without a home, whoever told of revocations is gone.
                None => match this.known.home() {
                    Some(shared) => this.listener = Some(shared.watch(&this.known)),
                    None => return Poll::Ready(Ended::Unavailable),
                },
            }
        }
    }
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoked").field("ended", &self.ended()).finish_non_exhaustive()
    }
}
