//! The Postgres store's tests, against a real server: `GATEKEY_TEST_POSTGRES` names it, and
//! `scripts/test` starts one. Each test has a database of its own.

mod cluster;
mod commits;
mod conformance;
mod database;
mod indexes;
mod leases;
mod migrations;
mod operators;
mod outages;
mod pooled;
mod pooler;
mod proxy;
mod standby;
mod trimming;
