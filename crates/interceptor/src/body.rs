//! The bodies of requests and responses, ended with the token under which they go.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Refusal;
use crate::guard::{Ended, Revoked};

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a protected service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

pin_project! {
    /// A request's body, as the handler reads it. Once its token has ended, nothing more comes but an error: over gRPC the
    /// status that the client gets if the handler passes it on.
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        guard: Option<Guard>,
    }
}

pin_project! {
    /// A response's body. Once its token has ended, so does it: over gRPC with trailers that say why, over HTTP with an
    /// error, so that nobody takes the part for the whole. What is complete already goes out as it is.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindOf]
    enum Kind<B> {
        Inner { #[pin] inner: B, guard: Option<Guard>, begun: bool },
        Refusal { bytes: Option<Bytes> },
    }
}

/// The token under which a body goes.
pub(crate) struct Guard {
    revoked: Revoked,
    protocol: Protocol,
}

impl Guard {
    pub(crate) const fn new(revoked: Revoked, protocol: Protocol) -> Self {
        Self { revoked, protocol }
    }
}

impl<B> RequestBody<B> {
    pub(crate) const fn new(inner: B, guard: Option<Guard>) -> Self {
        Self { inner, guard }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) const fn new(inner: B, guard: Option<Guard>) -> Self {
        Self { kind: Kind::Inner { inner, guard, begun: false } }
    }
}

impl<B> From<Bytes> for ResponseBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self { kind: Kind::Refusal { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        // None once it was said: what is polled after an error is over.
        let Some(guard) = this.guard else { return this.inner.poll_frame(context).map_err(Into::into) };
        let ended = match this.inner.poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => match guard.revoked.ended() {
                None => return Poll::Ready(Some(Ok(frame))),
                Some(ended) => ended,
            },
            // The end came by itself.
            Poll::Ready(frame) => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => ready!(Pin::new(&mut guard.revoked).poll(context)),
        };
        Poll::Ready(Some(Err(said(ended, guard.protocol))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut kind = self.project().kind;
        let (ended, protocol) = match kind.as_mut().project() {
            KindOf::Refusal { bytes } => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            KindOf::Inner { inner, guard, begun } => {
                let Some(guard) = guard else { return inner.poll_frame(context).map_err(Into::into) };
                let ended = match inner.poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) if frame.is_data() => match guard.revoked.ended() {
                        // The first is the whole of what a handler that has done its work says.
                        Some(ended) if *begun => ended,
                        _ => {
                            *begun = true;
                            return Poll::Ready(Some(Ok(frame)));
                        }
                    },
                    Poll::Ready(frame) => {
                        return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
                    }
                    Poll::Pending => ready!(Pin::new(&mut guard.revoked).poll(context)),
                };
                (ended, guard.protocol)
            }
        };
        // The handler's own body goes, and with it what it holds.
        kind.set(Kind::Refusal { bytes: None });
        Poll::Ready(Some(match protocol {
            Protocol::Grpc => Ok(Frame::trailers(trailers(ended.refusal()))),
            Protocol::Http => Err(ended.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { inner, .. } => inner.is_end_stream(),
            Kind::Refusal { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { inner, .. } => inner.size_hint(),
            Kind::Refusal { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// What a handler that reads on gets.
fn said(ended: Ended, protocol: Protocol) -> BoxError {
    match protocol {
        Protocol::Grpc => Box::new(ended.refusal().to_status()),
        Protocol::Http => Box::new(ended),
    }
}

fn trailers(refusal: Refusal) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    let added = refusal.to_status().add_header(&mut trailers);
    debug_assert!(added.is_ok(), "the texts of the table can stand in a header");
    trailers
}

#[cfg(test)]
mod tests;
