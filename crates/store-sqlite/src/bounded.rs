//! One writer and several readers, each operation in bounded time, and no write cancelled by its caller.

use std::time::Duration;

use futures_util::future::BoxFuture;
use gatekey_core::{StoreError, in_current_call};
use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::time::timeout;

use crate::fault::{Fault, store_error};

/// What is done on a connection.
pub(crate) type Work<'c, T> = BoxFuture<'c, Result<T, Fault>>;

/// How a transaction that went well is to end.
pub(crate) enum Ending<T> {
    /// What was written is kept.
    Commit(T),
    /// A refusal: nothing is kept.
    RollBack(T),
}

/// The connections: to one writer at most, as SQLite has no more, to several readers, and to one reader for the
/// replicas' lines, so that no storm of other reads costs a lease.
#[derive(Clone)]
pub(crate) struct Bounded {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) line_reader: SqlitePool,
    pub(crate) limit: Duration,
}

impl Bounded {
    /// Reads. Ends with its caller's future.
    pub(crate) async fn read<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T>,
    ) -> Result<T, StoreError> {
        self.read_on(&self.readers, work).await
    }

    /// Reads for a replica's line.
    pub(crate) async fn read_for_line<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T>,
    ) -> Result<T, StoreError> {
        self.read_on(&self.line_reader, work).await
    }

    async fn read_on<T>(
        &self,
        readers: &SqlitePool,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T>,
    ) -> Result<T, StoreError> {
        let read = async {
            let mut connection = readers.acquire().await?;
            work(&mut connection).await
        };
        timeout(self.limit, read).await.map_err(|_| Fault::TimedOut).flatten().map_err(store_error)
    }

    /// Writes in one transaction, in a task of its own: it goes on to its end though its caller went
    /// away or has stopped waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Ending<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_then(work, |_| ()).await
    }

    /// Writes likewise, and tells `then` once that is committed and before anyone else writes.
    pub(crate) async fn write_then<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Ending<T>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = self.writer.clone();
        let task = tokio::spawn(in_current_call(async move { write_on(&writer, work, then).await }));
        let ended = timeout(self.limit, task).await.map_err(|_| Fault::TimedOut);
        ended.and_then(|task| task.map_err(Fault::Task).flatten()).map_err(store_error)
    }

    /// Waits until what is under way has ended, moves what the write-ahead log holds into the file,
    /// and closes every connection. False if that took too long.
    pub(crate) async fn close(&self) -> bool {
        let close = async {
            // The writer last: only it can tidy up the write-ahead log.
            self.readers.close().await;
            self.line_reader.close().await;
            if let Ok(mut writer) = self.writer.acquire().await
                && let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await
            {
                tracing::warn!(%error, "the write-ahead log was not moved into the database file");
            }
            self.writer.close().await;
        };
        timeout(2 * self.limit, close).await.is_ok()
    }
}

async fn write_on<T>(
    writer: &SqlitePool,
    work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Ending<T>>,
    then: impl FnOnce(&T),
) -> Result<T, Fault> {
    let mut connection = writer.acquire().await?;
    match transact(&mut connection, work).await {
        Ok(Ending::Commit(done)) => {
            then(&done);
            Ok(done)
        }
        Ok(Ending::RollBack(refused)) => Ok(refused),
        Err(fault) => {
            // After some errors, a full disk among them, SQLite has rolled back by itself. sqlx's own
            // rollback fails then, and it takes the connection to be in a transaction for ever.
            let _ = connection.close().await;
            Err(fault)
        }
    }
}

async fn transact<T>(
    connection: &mut SqliteConnection,
    work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Ending<T>>,
) -> Result<Ending<T>, Fault> {
    // IMMEDIATE: a transaction that reads first and then writes would else fail when it has to wait.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let ending = work(&mut transaction).await?;
    match ending {
        Ending::Commit(_) => transaction.commit().await?,
        Ending::RollBack(_) => transaction.rollback().await?,
    }
    Ok(ending)
}
