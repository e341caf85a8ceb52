//! What may happen: create, list, delete and verify, and the ports through which the world is reached.
//!
//! Knows nothing of gRPC, HTTP or SQL. The surfaces (`gatekey-api`) call [`Tokens`]; the stores
//! (`gatekey-store-*`) implement [`TokenStore`] and [`RevocationLog`].

mod audit;
mod caller;
mod clock;
mod commands;
mod error;
mod log_context;
mod operator;
mod revocation;
mod store;
mod tokens;
mod traces;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use audit::{Act, Action, AuditEntry, Outcome};
pub use caller::{Call, Caller, Role, Roles};
pub use clock::{Clock, SystemClock, boottime};
pub use commands::{
    CreateToken, Created, DeleteToken, DeletionReceipt, ListTokens, PAGE_MAX, Page, Verification,
    VerifyTarget, VerifyToken,
};
pub use error::{Error, StoreError};
pub use log_context::{ForCall, LogContext, in_current_call};
pub use operator::{
    BATCH, EpochBegun, NotInForce, Operator, OperatorStore, RevokedToken, Run, SelectedToken, Selection,
};
pub use revocation::{Lease, Revocations, Session, Status};
pub use store::{
    Bell, Confirmation, CreateRequest, Insertion, LeaseStore, ListCursor, LogEntry, NewToken, ReplicaLine,
    ReplicaRows, Revocation, RevocationLog, Ring, Snapshot, Store, StoredToken, TokenStore, Trim, Trimmed,
};
pub use tokens::{Settings, Tokens};
pub use traces::{TRACES, fail};
