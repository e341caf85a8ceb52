//! The bodies of requests and responses, ended with the token under which they go.

use std::fmt;
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
        // Nothing once its token has ended.
        #[pin]
        inner: Option<B>,
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
        Inner { #[pin] inner: B, guard: Option<Guard> },
        Own { bytes: Option<Bytes> },
    }
}

/// The token under which a body goes.
pub(crate) struct Guard {
    revoked: Revoked,
    protocol: Protocol,
    /// There was data.
    begun: bool,
}

impl Guard {
    pub(crate) const fn new(revoked: Revoked, protocol: Protocol) -> Self {
        Self { revoked, protocol, begun: false }
    }

    /// There is data: whether the token has ended nevertheless. From the second on it asks to be told, since a body that is
    /// never pending would not hear of it otherwise; most bodies have one, and pay nothing.
    fn data(&mut self, context: &mut Context<'_>) -> Option<Ended> {
        if !std::mem::replace(&mut self.begun, true) {
            return self.revoked.ended();
        }
        match self.poll(context) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        Pin::new(&mut self.revoked).poll(context)
    }
}

impl<B> RequestBody<B> {
    pub(crate) const fn new(inner: B, guard: Option<Guard>) -> Self {
        Self { inner: Some(inner), guard }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) const fn new(inner: B, guard: Option<Guard>) -> Self {
        Self { kind: Kind::Inner { inner, guard } }
    }
}

impl<B> From<Bytes> for ResponseBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self { kind: Kind::Own { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }
}

/// An empty one: layers outside of this one answer by it.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::from(Bytes::new())
    }
}

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
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
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let Some(guard) = this.guard else { return inner.poll_frame(context).map_err(Into::into) };
        let ended = match inner.poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => match guard.data(context) {
                None => return Poll::Ready(Some(Ok(frame))),
                Some(ended) => ended,
            },
            // The end came by itself.
            Poll::Ready(frame) => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => ready!(guard.poll(context)),
        };
        // Said once. What the client still sends has nowhere to go.
        this.inner.set(None);
        Poll::Ready(Some(Err(said(ended, guard.protocol))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
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
            KindOf::Own { bytes } => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            KindOf::Inner { inner, guard } => {
                let Some(guard) = guard else { return inner.poll_frame(context).map_err(Into::into) };
                let ended = match inner.poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                        // The first is the whole of what a handler that has done its work says.
                        let first = !guard.begun;
                        match guard.data(context) {
                            Some(ended) if !first => ended,
                            _ => return Poll::Ready(Some(Ok(frame))),
                        }
                    }
                    Poll::Ready(frame) => {
                        return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
                    }
                    Poll::Pending => ready!(guard.poll(context)),
                };
                (ended, guard.protocol)
            }
        };
        // The handler's own body goes, and with it what it holds.
        kind.set(Kind::Own { bytes: None });
        Poll::Ready(Some(match protocol {
            Protocol::Grpc => Ok(Frame::trailers(trailers(ended.refusal()))),
            Protocol::Http => Err(ended.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { inner, .. } => inner.is_end_stream(),
            Kind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { inner, .. } => inner.size_hint(),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
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
