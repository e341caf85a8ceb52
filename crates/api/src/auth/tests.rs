//! The authenticator with real keys and real signatures, and with everything that attackers send.

mod accepted;
mod cached;
mod fixture;
mod forged;
mod hard_age;
mod issuer_server;
mod jwks_access;
mod jwks_sets;
mod jwks_url;
mod jwks_url_secrets;
pub(crate) mod log;
mod outage;
mod refused;
mod roles;
mod signing_key;
mod unknown_key;
