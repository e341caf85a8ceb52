//! Requests whose bodies are read in any case: see [`gatekey_access::drain`].

use axum::body::Body;
use axum::extract::Request;
use gatekey_access::Drained;
use http::Version;
use http_body::Body as _;

/// A request that may be answered by its headers alone, here or anywhere behind, without harm to its connection.
pub(crate) fn drained(request: Request) -> Request {
    if request.version() != Version::HTTP_2 || request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Drained::new(body)))
}
