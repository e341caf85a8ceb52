//! Requests whose bodies are read in any case: see [`gatekey_access::drain`].

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use gatekey_access::drain_body;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};

/// A request that may be answered by its headers alone, here or anywhere behind, without harm to its connection.
pub(crate) fn drained(request: Request) -> Request {
    if request.version() != Version::HTTP_2 || request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Drained(body)))
}

/// Drained if it is dropped before its end.
struct Drained(Body);

impl http_body::Body for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        drain_body(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_is_drained_when_it_is_dropped() {
        let read = Arc::new(AtomicUsize::new(0));
        for (version, expected) in [(Version::HTTP_2, 11), (Version::HTTP_11, 5)] {
            read.store(0, Ordering::SeqCst);
            let counted = Arc::clone(&read);
            let frames = stream::iter([5, 6]).map(move |size| {
                counted.fetch_add(size, Ordering::SeqCst);
                Ok::<_, Infallible>(Bytes::from(vec![0; size]))
            });
            let mut request = Request::new(Body::from_stream(frames));
            *request.version_mut() = version;
            let mut body = drained(request).into_body();
            let first = body.frame().await.expect("a frame").expect("no error").into_data();
            assert_eq!(first.expect("data").len(), 5);
            assert_eq!(read.load(Ordering::SeqCst), 5);
            drop(body);
            assert_eq!(read.load(Ordering::SeqCst), expected, "{version:?}");
        }
    }
}
