//! Gatekey's store in one SQLite file, for one process: the ports of `gatekey-core` in SQL, and the
//! migrations.
//!
//! What may happen is decided in `gatekey-core`; this crate remembers it. [`SqliteStore::open`] makes
//! the file and migrates it; the folder must exist.

mod audit;
mod backup;
mod bell;
mod bounded;
mod claim;
mod fault;
mod file_lock;
mod insert;
mod line;
mod open;
mod open_error;
mod operator;
mod operator_store;
mod options;
mod read;
mod reader;
mod replica;
mod replicas;
mod revoke;
mod rows;
mod schema;
mod store;
mod trim;

pub use backup::{BackupError, Copied, partial_copies};
pub use claim::require_claimable;
pub use file_lock::{Holding, holding};
pub use open_error::OpenError;
pub use options::SqliteOptions;
pub use reader::SqliteReader;
pub use schema::SchemaState;
pub use store::SqliteStore;
