//! What a request with an API token is answered: the same at a service behind the interceptor and at a gateway that asks
//! Gatekey.
//!
//! How a token is read from `authorization` ([`presented`]), what a route asks for ([`Rule`]), what becomes of a verdict
//! ([`decide`]), how a refusal is said over gRPC and HTTP ([`Refusal`]), and by which headers a gateway tells a service who
//! calls ([`Identity`]). And the names of gRPC's codes ([`code_name`]), which both ends of a call write, and what becomes of a request
//! that is answered unread ([`drain`]). How a verdict is found is left to others.

mod bearer;
mod code;
mod decision;
mod identity;
mod refusal;
mod rule;
mod unread;

pub use bearer::{hide, presented, presented_in};
pub use code::code_name;
pub use decision::decide;
pub use identity::{Identity, is_identity};
pub use refusal::Refusal;
pub use rule::Rule;
pub use unread::{drain, drain_body};
