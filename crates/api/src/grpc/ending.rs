//! Follows an answer to its end, where its status is: in the headers of one that is over at once, else in the trailers.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::{Code, Status};

/// Something that is told how a call ended. If it is dropped instead, the caller went away.
pub(crate) trait Ending: Send + Unpin + 'static {
    /// May be called again: then it is too late.
    fn end(&mut self, code: Code);
}

/// Tells it how the call ended that this answers.
pub(super) fn follow(response: Response, mut ending: impl Ending) -> Response {
    match Status::from_header_map(response.headers()) {
        Some(status) => {
            ending.end(status.code());
            response
        }
        None => response.map(|body| Body::new(Followed { body, ending })),
    }
}

/// The body of an answer, which ends with its status.
struct Followed<E> {
    body: Body,
    ending: E,
}

impl<E: Ending> Followed<E> {
    fn see(&mut self, trailers: &HeaderMap) {
        self.ending.end(Status::from_header_map(trailers).map_or(Code::Unknown, |status| status.code()));
    }
}

impl<E: Ending> http_body::Body for Followed<E> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.see(trailers);
                }
            }
            // Without a status.
            Poll::Ready(Some(Err(_)) | None) => self.ending.end(Code::Unknown),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
