//! Bounds the time of every operation, whatever the network does, and lets no caller cancel a write.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use gatekey_core::{StoreError, in_current_call};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::fault::{Fault, is_unavailable, store_error};
use crate::statements::Statements;
use crate::trouble::Trouble;
use crate::way::Way;

/// What is done on a connection.
pub(crate) type Work<'c, T> = BoxFuture<'c, Result<T, Fault>>;

/// A pool whose operations end in time. Clones share it.
#[derive(Clone)]
pub(crate) struct Bounded {
    // Never locked across an await.
    pool: Arc<RwLock<PgPool>>,
    way: Way,
    limit: Duration,
    trouble: Trouble,
}

impl Bounded {
    pub(crate) fn new(pool: PgPool, way: Way, limit: Duration, trouble: Trouble) -> Self {
        Self { pool: Arc::new(RwLock::new(pool)), way, limit, trouble }
    }

    /// Reads. Ends with its caller's future.
    pub(crate) async fn read<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Statements<'_>) -> Work<'c, T>,
    ) -> Result<T, StoreError> {
        self.run(work).await.map_err(store_error)
    }

    /// Writes, in a task of its own: a commit goes on to its end though its caller went away.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Statements<'_>) -> Work<'c, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        let task = tokio::spawn(in_current_call(async move { this.run(work).await }));
        task.await.map_err(Fault::Task).flatten().map_err(store_error)
    }

    /// How many connections are idle, and how many are used.
    pub(crate) fn connections(&self) -> (u32, u32) {
        let pool = self.pool.read().unwrap_or_else(PoisonError::into_inner);
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        (idle, pool.size().saturating_sub(idle))
    }

    pub(crate) async fn run<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Statements<'_>) -> Work<'c, T>,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + self.limit;
        let acquired = timeout_at(deadline, self.acquire()).await.map_err(|_| Fault::TimedOut)?;
        let mut loan = Loan { connection: Some(acquired.map_err(Fault::Connect)?), limit: self.limit };
        let Some(connection) = loan.connection.as_deref_mut() else {
            return Err(Fault::Impossible("a loan without a connection"));
        };
        let worked = timeout_at(deadline, work(&mut Statements::on(connection, &self.way))).await;
        // A pooler's connection may be left in a transaction that has failed to begin, and leads perhaps to a server
        // that is no primary any more. Another one costs little there.
        if worked.is_err() || (self.way.is_pooled() && worked.as_ref().is_ok_and(Result::is_err)) {
            loan.sever();
        }
        let outcome = worked.unwrap_or(Err(Fault::TimedOut));
        if outcome.as_ref().is_err_and(is_unavailable) {
            self.trouble.note();
        }
        outcome
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        loop {
            match self.current().acquire().await {
                // It was replaced meanwhile.
                Err(sqlx::Error::PoolClosed) if !self.current().is_closed() => {}
                acquired => return acquired,
            }
        }
    }

    fn current(&self) -> PgPool {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another pool into the place of this one, whose connections end with what is under way on them,
    /// in bounded time. Does nothing after [`Self::close`].
    pub(crate) fn replace(&self, pool: impl FnOnce() -> PgPool) {
        let old = {
            let mut current = self.pool.write().unwrap_or_else(PoisonError::into_inner);
            if current.is_closed() {
                return;
            }
            std::mem::replace(&mut *current, pool())
        };
        let limit = 2 * self.limit;
        tokio::spawn(async move { timeout(limit, old.close()).await });
    }

    /// Waits until what is under way has ended, then closes every connection.
    pub(crate) async fn close(&self) {
        let pool;
        let closing = {
            // Closed from here on, under the lock: so that no other pool comes into its place.
            let current = self.pool.read().unwrap_or_else(PoisonError::into_inner);
            pool = current.clone();
            pool.close()
        };
        // Twice the limit: an operation, and the return of its connection.
        if timeout(2 * self.limit, closing).await.is_err() {
            tracing::warn!("the connections to Postgres did not close in time");
        }
    }
}

/// A connection that goes back to the pool when dropped, in bounded time.
struct Loan {
    connection: Option<PoolConnection<Postgres>>,
    limit: Duration,
}

impl Loan {
    /// Drops the connection without another word to the server, which may be out of reach. What it
    /// was doing is ended there by the server's own timeouts; a commit that arrived stands.
    fn sever(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match Handle::try_current() {
            // The pool pings a connection before it takes it back, for ever if the network swallows
            // the answer, and keeps its place meanwhile. So not by `drop`, which sets no bound. When
            // this future is dropped at its end, the connection is dropped and its place is free.
            Ok(runtime) => drop(runtime.spawn(timeout(self.limit, connection.return_to_pool()))),
            Err(_) => drop(connection.detach()),
        }
    }
}
