//! A replica's line. There is one process, so most of what it says stays in memory: see [`crate::replicas`].

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gatekey_core::{Confirmation, ReplicaLine, Ring, StoreError};
use gatekey_lease::{Entry, Head, ReplicaId, Row, Seq};

use crate::bell::Bells;
use crate::bounded::Bounded;
use crate::replicas::Replicas;
use crate::{read, replica};

pub(crate) struct SqliteLine {
    database: Bounded,
    replicas: Replicas,
    bells: Bells,
}

impl SqliteLine {
    pub(crate) const fn new(database: Bounded, replicas: Replicas, bells: Bells) -> Self {
        Self { database, replicas, bells }
    }
}

#[async_trait]
impl ReplicaLine for SqliteLine {
    /// Writes only if the row is not there with this lease: nobody else could read the count, and so a full disk
    /// costs no lease.
    async fn commit_row(&mut self, id: ReplicaId, n: u64, lease: Duration) -> Result<bool, StoreError> {
        if self.replicas.renew(id, n, lease) {
            return Ok(false);
        }
        let (replicas, written) = (self.replicas.clone(), self.replicas.clone());
        self.database
            .write_then(
                move |connection| replica::write_row(connection, replicas, id, n, lease).boxed(),
                move |_| written.enter(id, n, lease),
            )
            .await
    }

    async fn head(&mut self) -> Result<Head, StoreError> {
        self.database.read_for_line(|connection| read::lease_head(connection).boxed()).await
    }

    async fn entries_from(&mut self, from: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.database
            .read_for_line(move |connection| read::lease_entries_from(connection, from, limit).boxed())
            .await
    }

    async fn confirm(&mut self, id: ReplicaId, confirmation: Confirmation) -> Result<(), StoreError> {
        let position = confirmation.position;
        let contains = self
            .database
            .read_for_line(move |connection| replica::contains(connection, position).boxed())
            .await?;
        if contains && self.replicas.confirm(id, confirmation) {
            self.bells.ring(Ring::Confirmation);
        }
        Ok(())
    }

    async fn rows(&mut self) -> Result<Vec<Row>, StoreError> {
        let replicas = self.replicas.clone();
        let read = self
            .database
            .read_for_line(move |connection| replica::rows(connection, replicas, Vec::new()).boxed())
            .await?;
        Ok(read.rows)
    }

    async fn remove_row(&mut self, id: ReplicaId, n: u64) -> Result<(), StoreError> {
        let (replicas, bells) = (self.replicas.clone(), self.bells.clone());
        let removed = move |removed: &bool| {
            if *removed {
                bells.ring(Ring::Confirmation);
            }
        };
        self.database
            .write_then(move |connection| replica::remove_row(connection, replicas, id, n).boxed(), removed)
            .await?;
        Ok(())
    }
}
