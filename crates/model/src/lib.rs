//! The words of Gatekey's domain: what a token is, and what is a valid name, type, validity or tenant.
//!
//! Each type can only hold what is valid, so that the rest of the code never checks again. No I/O, no
//! clock, no async; random numbers come from the operating system, for [`TokenValue::generate`] only.

mod digest;
mod ids;
mod name;
mod prefix;
mod timestamp;
mod token;
mod token_type;
mod validity;
mod value;
mod violation;

pub use digest::TokenDigest;
pub use ids::{InvalidTenant, RequestId, TenantId, TokenId};
pub use name::{NAME_MAX_CHARS, TokenName};
pub use prefix::{InvalidPrefix, TokenPrefix};
pub use timestamp::Timestamp;
pub use token::{Token, Verdict};
pub use token_type::TokenType;
pub use validity::Validity;
pub use value::{MalformedToken, PresentedToken, TokenKey, TokenValue, VALUE_MAX_LEN};
pub use violation::{Rule, Violation, Violations};
