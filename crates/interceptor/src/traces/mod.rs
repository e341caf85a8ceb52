//! The interceptor's part in the traces of its service (feature `opentelemetry`), by the API of OpenTelemetry alone: whatever the
//! service has set up takes it, be it the SDK itself or `tracing-opentelemetry`.
//!
//! A check in memory has no span. A question to a server has one, in the trace of the request that asked first, and takes that
//! trace to the server. The current span is told which token came, or why the request was refused.

#[cfg(not(feature = "opentelemetry"))]
mod off;
#[cfg(feature = "opentelemetry")]
mod on;

#[cfg(not(feature = "opentelemetry"))]
pub(crate) use off::{Question, current, refused, verified};
#[cfg(feature = "opentelemetry")]
pub(crate) use on::{Question, current, refused, verified};
