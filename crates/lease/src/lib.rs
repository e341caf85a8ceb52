//! When a cached answer may be used.
//!
//! Everything here is about the log of revocations and who stands where in it. No I/O and no clock:
//! time comes in as an argument. For now this is the position; see `docs/adr/0005-delete-reads-through.md`.

mod position;

pub use position::{Nonce, Position, Seq};
