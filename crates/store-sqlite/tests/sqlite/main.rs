//! The SQLite store's tests. Each has a folder of its own.

mod conformance;
mod files;
mod folder;
mod full;
mod indexes;
mod leases;
mod migrations;
#[cfg(unix)]
mod names;
