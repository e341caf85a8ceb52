//! When a cached answer may be used: strict revocation as pure state machines.
//!
//! No I/O, no clock and no randomness: time comes in as a [`Moment`], ids and nonces as arguments, and what
//! has to be done goes out as effects. Production, the model in `tests/` and the simulation run this code.
//!
//! [`Deletion`] is one DeleteToken, [`Replica`] holds a lease and grants leases to the [`Holder`]s on its
//! streams. A cached answer is used if [`may_use`] says so and enters a cache with a [`Permit`] of
//! [`Flights`]. `README.md` draws how they fit together, and has the table of rules.

mod cache;
mod deleter;
mod holder;
mod ids;
mod log;
mod message;
mod position;
mod replica;
mod row;
mod rules;
mod time;

pub use cache::{Begun, Cache, FlightId, Flights, Negatives, Permit, may_use};
pub use deleter::{Deletion, Next, Receipt, Rows};
pub use holder::{Holder, HolderEffect};
pub use ids::{Digest, Epoch, HolderId, ReplicaId, StreamId};
pub use log::{Entry, Head};
pub use message::{Down, Hello, Up};
pub use position::{Nonce, Position, Seq};
pub use replica::{Effect, FromCache, Read, ReadAnswer, Refused, Replica, ReplicaConfig};
pub use row::{Row, RowAck};
pub use rules::{Rule, Rules};
pub use time::{Moment, WallTime};
