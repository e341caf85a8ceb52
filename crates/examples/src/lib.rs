//! Two services as another team would write them, with `gatekey-interceptor` in front: one over gRPC, one over HTTP with
//! a WebSocket and an endless response. Nothing here does more with tokens than a service has to: the table of
//! [`serve_grpc`] and of [`http_router`] says which route asks for which token, and the handlers ask who called.
//!
//! The transcription itself is left out. The end-to-end tests and the benchmarks run these services, too.

mod caller;
mod grpc;
mod http;
mod process;
mod traces;

pub use grpc::serve_grpc;
pub use http::{http_router, serve_http};
pub use process::{Settings, Stop, run};

/// The Rust code in the interceptor's guide compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/interceptor.md")]
pub struct Guide;

/// Package `transcribe.v1`, generated from `proto/transcribe/v1`.
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("transcribe.v1");
}
