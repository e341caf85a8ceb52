//! Every surface of the Gatekey server.
//!
//! What comes in is authenticated ([`Authenticator`]), converted to the domain (`convert`), handed to
//! the use cases of `gatekey-core`, and answered; what goes wrong is said by the one table ([`ApiError`]).

mod auth;
mod call_id;
mod connections;
mod console;
mod convert;
mod drained;
mod error;
mod gateway;
pub mod grpc;
pub mod http;
mod loopback;
mod page_token;
mod readiness;
mod rest;
mod tls;
mod traces;

pub use auth::{Authenticator, IssuerError, IssuerSettings, JwksAccess, JwksSource, KnownKey};
pub use error::{ApiError, DOMAIN, FieldError};
pub use gateway::Gateways;
pub use readiness::{Phase, Readiness};
pub use tls::{NotASpiffeId, SpiffeId, Tls, TlsFiles, TlsMaterial, TlsProblem, TlsSettings, TlsVersion};
