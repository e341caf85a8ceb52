//! Checks histories of strict revocation, and simulates whole fleets from a seed.
//!
//! [`history`] says whether what happened to tokens keeps the promises; the simulation and tests with real
//! processes use the same checker. [`simulate`] runs one seed: the machines of `gatekey-lease`, as production
//! runs them, in a world where much goes wrong. Equal seeds give equal histories.

pub mod history;

mod clock;
mod counts;
mod mutant;
mod profile;
mod random;
mod store;
mod world;

pub use counts::{COUNTS, Count, Counts};
pub use mutant::{MUTANTS, Mutant};
pub use profile::Options;
pub use world::Outcome;

/// Simulates the fleet of one seed.
#[must_use]
pub fn simulate(seed: u64, options: &Options) -> Outcome {
    world::World::new(seed, options).run()
}
