//! A replica's line: one connection of its own, each statement on it in bounded time. The SQL is in
//! [`crate::replica`] and [`crate::read`].
//!
//! A lease rests on a row and on a head *of one history*. A connection that leads straight to a server sees to that,
//! for it ends with it. One that leads to a pooler does not: so there the line is bound to the timeline of its
//! beginning, and breaks with the first transaction on another.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gatekey_core::{Confirmation, ReplicaLine, StoreError};
use gatekey_lease::{Entry, Head, ReplicaId, Row, Seq};
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::bounded::Work;
use crate::connect::Server;
use crate::fault::{Fault, is_unavailable, store_error};
use crate::statements::Statements;
use crate::trouble::Trouble;
use crate::way::Way;
use crate::{PostgresOptions, read, replica};

/// A connection until something goes wrong on it.
pub(crate) struct PostgresLine {
    connection: Option<PgConnection>,
    way: Way,
    limit: Duration,
    trouble: Trouble,
}

impl PostgresLine {
    pub(crate) async fn open(
        server: &Server,
        options: &PostgresOptions,
        trouble: Trouble,
    ) -> Result<Self, Fault> {
        let (connection, way) = server.line(options).await?;
        Ok(Self { connection: Some(connection), way, limit: options.operation_timeout, trouble })
    }

    async fn run<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut Statements<'_>) -> Work<'c, T>,
    ) -> Result<T, StoreError> {
        // Out of its place meanwhile: with a call that fails or is given up half-way the connection goes too,
        // without another word to the server, so that no later call can take that one's answer for its own.
        // What the server was doing is ended by its own timeouts; a commit that arrived stands.
        let mut connection = self.connection.take().ok_or(Fault::Broken).map_err(store_error)?;
        let worked = timeout(self.limit, work(&mut Statements::on(&mut connection, &self.way))).await;
        let outcome = worked.map_err(|_| Fault::TimedOut).flatten();
        match outcome {
            Ok(_) => self.connection = Some(connection),
            Err(ref fault) if is_unavailable(fault) => self.trouble.note(),
            Err(_) => {}
        }
        outcome.map_err(store_error)
    }
}

#[async_trait]
impl ReplicaLine for PostgresLine {
    async fn commit_row(&mut self, id: ReplicaId, n: u64, lease: Duration) -> Result<bool, StoreError> {
        self.run(move |connection| replica::commit_row(connection, id, n, lease).boxed()).await
    }

    async fn head(&mut self) -> Result<Head, StoreError> {
        self.run(|connection| replica::head(connection).boxed()).await
    }

    async fn entries_from(&mut self, from: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.run(move |connection| read::lease_entries_from(connection, from, limit).boxed()).await
    }

    async fn confirm(&mut self, id: ReplicaId, confirmation: Confirmation) -> Result<(), StoreError> {
        self.run(move |connection| replica::confirm(connection, id, confirmation).boxed()).await
    }

    async fn rows(&mut self) -> Result<Vec<Row>, StoreError> {
        let read = self.run(|connection| replica::rows(connection, Vec::new()).boxed()).await?;
        Ok(read.rows)
    }

    async fn remove_row(&mut self, id: ReplicaId, n: u64) -> Result<(), StoreError> {
        self.run(move |connection| replica::remove_row(connection, id, n).boxed()).await
    }
}
