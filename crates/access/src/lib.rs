//! What a request with an API token is answered: the same at a service behind the interceptor and at a gateway that asks
//! Gatekey.
//!
//! How a token is read from `authorization` ([`presented`]), what a route asks for ([`Rule`]), what becomes of a verdict
//! ([`decide`]), how a refusal is said over gRPC and HTTP ([`Refusal`]), and by which headers a gateway tells a service who
//! calls ([`Identity`]). How a verdict is found is left to others.

mod bearer;
mod decision;
mod identity;
mod refusal;
mod rule;

pub use bearer::{hide, presented, presented_in};
pub use decision::decide;
pub use identity::{Identity, is_identity};
pub use refusal::Refusal;
pub use rule::Rule;
