//! Gatekey's store on Postgres 15 or newer: the ports of `gatekey-core` in SQL, and the migrations.
//!
//! What may happen is decided in `gatekey-core`; this crate remembers it. [`PostgresStore::connect`]
//! changes nothing in the database: [`PostgresStore::migrate`] does.

mod audit;
mod bell;
mod bounded;
mod connect;
mod examine;
mod fault;
mod insert;
mod line;
mod notice;
mod open_error;
mod operator;
mod operator_store;
mod options;
mod read;
mod replica;
mod replication;
mod revoke;
mod rows;
mod schema;
mod statements;
mod store;
mod trim;
mod trouble;
mod way;

pub use examine::{Examination, RoleExamined};
pub use open_error::OpenError;
pub use options::{Pooler, PostgresOptions};
pub use replication::Replication;
pub use schema::SchemaState;
pub use store::{Connections, PostgresStore};
