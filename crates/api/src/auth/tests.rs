//! The authenticator with real keys and real signatures, and with everything that attackers send.

mod accepted;
mod cached;
mod fixture;
mod forged;
mod issuer_server;
mod jwks_sets;
mod jwks_url;
mod outage;
mod refused;
mod roles;
mod signing_key;
