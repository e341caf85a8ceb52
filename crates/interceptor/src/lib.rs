//! Checks Gatekey's API tokens in front of any tonic or axum service.
//!
//! A tower layer validates `Authorization: Bearer` in the service's own memory, tells batch from realtime, hands the
//! handler who calls, and ends streams whose token is gone. A good token costs a hash and a look-up; once DeleteToken has
//! returned, no service accepts the token again, whatever crashed or was cut off.
//!
//! ```no_run
//! use gatekey_interceptor::{Gatekey, TokenType};
//! # use tower_layer::Layer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let service = tower::service_fn(|_: http::Request<String>| async { Ok::<http::Response<String>, ()>(http::Response::default()) });
//! let gatekey = Gatekey::builder(["http://gatekey:50051"]).bearer_file("/var/run/secrets/gatekey/token").connect()?;
//! let layer = gatekey.layer(TokenType::Realtime);
//! // tonic: Server::builder().layer(layer)          axum: Router::new().route(…).layer(layer)
//! # let _ = layer.layer(service);
//! # Ok(())
//! # }
//! ```
//!
//! The handler finds the [`VerifiedToken`] in the request's extensions: by [`RequestExt`] in tonic, and as an argument of
//! the handler in axum (feature `axum`).
//!
//! # Which routes need which token
//!
//! One type for all of a service, as above, or a table by [`Access::routes`]. A route that no rule names is refused.
//!
//! # What a client gets
//!
//! | request | gRPC | HTTP |
//! | --- | --- | --- |
//! | no `authorization`, or another scheme | UNAUTHENTICATED | 401, `WWW-Authenticate: Bearer` |
//! | two of them, or not ASCII | UNAUTHENTICATED | 401 `invalid_request` |
//! | malformed, unknown, revoked, expired | UNAUTHENTICATED, one message for all | 401 `invalid_token` |
//! | good, of the other type | PERMISSION_DENIED | 403 `insufficient_scope` |
//! | no rule for the route | PERMISSION_DENIED | 403 |
//! | nobody can tell, or over a limit | UNAVAILABLE | 503, `Retry-After` |
//! | good | the handler's answer | the handler's answer |
//!
//! # When Gatekey is down
//!
//! As long as the lease lives (10 seconds unless the server says otherwise), good tokens that are in memory go on working. As
//! long as one server answers, so do all others. After that, every request is UNAVAILABLE: never an accept, and never a 401.
//! What was in memory is kept, and used again as soon as there is a lease.
//!
//! # Open streams
//!
//! The bodies of requests and responses end when their token is revoked or expires: over gRPC with UNAUTHENTICATED. What
//! goes on outside of bodies, as a WebSocket does, ends itself by [`VerifiedToken::revoked`].
//!
//! # Features
//!
//! | feature | gives |
//! | --- | --- |
//! | `axum` | [`VerifiedToken`] as an extractor |
//! | `tls` | `https` endpoints, and client certificates that are read again when they change |
//! | `metrics` | figures for the facade of the `metrics` crate |
//! | `opentelemetry` | the service's traces go on through the interceptor to Gatekey |
//! | `test-util` | `FakeGatekey`, for tests of your service |

mod access;
mod backend;
mod body;
mod builder;
mod cache;
mod clock;
mod counters;
mod extract;
#[cfg(any(test, feature = "test-util"))]
mod fake;
#[cfg(feature = "metrics")]
mod figures;
mod gatekey;
mod guard;
mod guards;
mod health;
mod keeper;
mod known;
mod layer;
mod limits;
#[cfg(test)]
mod listening;
mod remote;
#[cfg(test)]
mod scripted;
mod shared;
mod token;
mod told;
mod traces;
mod verify;

pub use access::{Access, InvalidAccess};
pub use body::{BoxError, RequestBody, ResponseBody};
pub use builder::{Builder, ConfigError};
pub use counters::Stats;
#[cfg(feature = "axum")]
pub use extract::NotVerified;
pub use extract::RequestExt;
#[cfg(any(test, feature = "test-util"))]
pub use fake::{FakeGatekey, FakeToken};
pub use gatekey::Gatekey;
pub use gatekey_access::{Refusal, Rule};
pub use gatekey_model::TokenType;
pub use guard::{Ended, Revoked};
pub use health::{Event, Health};
pub use layer::{GatekeyLayer, GatekeyService, ResponseFuture};
#[cfg(feature = "tls")]
pub use remote::Tls;
pub use token::VerifiedToken;

/// The Rust code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
