//! Runs statements on a connection, as the way to the server allows: [`Statements`] stands where sqlx has its
//! connection, and [`Transaction`] where sqlx has its transaction.
//!
//! sqlx sends a statement in two parts, each of which ends with the server's being ready: first it is prepared, then
//! it is run. Outside of a transaction a pooler may send the second part to another session, where the statement is
//! missing, or where *another* one was prepared meanwhile. So behind a pooler each statement is run within a
//! transaction, and prepared without a name, which others would find taken.

use std::ops::{Deref, DerefMut};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryFutureExt, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection, Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr};

use crate::way::Way;

/// A connection to run statements on, each of them in a transaction of its own, or all of them in one.
#[derive(Debug)]
pub(crate) struct Statements<'c> {
    on: On<'c>,
    way: &'c Way,
}

/// What statements are run on.
#[derive(Debug)]
enum On<'c> {
    Connection(&'c mut PgConnection),
    Transaction(sqlx::Transaction<'c, Postgres>),
}

impl On<'_> {
    fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl<'c> Statements<'c> {
    pub(crate) const fn on(connection: &'c mut PgConnection, way: &'c Way) -> Self {
        Self { on: On::Connection(connection), way }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_>, sqlx::Error> {
        let (connection, way) = (self.on.connection(), self.way);
        let mut transaction = match way.begin() {
            Some(begin) => connection.begin_with(begin).await?,
            None => connection.begin().await?,
        };
        way.check(&mut transaction).await?;
        Ok(Transaction(Statements { on: On::Transaction(transaction), way }))
    }
}

/// A transaction. Rolled back, before anything else is said on the connection, if it is dropped.
#[derive(Debug)]
pub(crate) struct Transaction<'c>(Statements<'c>);

impl Transaction<'_> {
    /// Commits. To rely on what was written use [`crate::notice::commit`], which hears warnings.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0.on {
            On::Transaction(transaction) => transaction.commit().await,
            // None was begun: see `Statements::begin`.
            On::Connection(_) => Err(sqlx::Error::BeginFailed),
        }
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = Statements<'c>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'e> Executor<'e> for &'e mut Statements<'_> {
    type Database = Postgres;

    fn fetch_many<'x, 'q: 'x, E>(
        self,
        query: E,
    ) -> BoxStream<'x, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'e: 'x,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.way.is_pooled() {
            return self.on.connection().fetch_many(query);
        }
        if matches!(self.on, On::Transaction(_)) {
            return self.on.connection().fetch_many(Unnamed(query));
        }
        let alone = async move {
            let mut transaction = self.begin().await?;
            let fetched: Vec<_> =
                transaction.on.connection().fetch_many(Unnamed(query)).try_collect().await?;
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(stream::iter(fetched.into_iter().map(Ok)))
        };
        alone.try_flatten_stream().boxed()
    }

    fn fetch_optional<'x, 'q: 'x, E>(self, query: E) -> BoxFuture<'x, Result<Option<PgRow>, sqlx::Error>>
    where
        'e: 'x,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.way.is_pooled() {
            return self.on.connection().fetch_optional(query);
        }
        Box::pin(async move {
            let fetched: Vec<_> = self.fetch_many(query).try_collect().await?;
            Ok(fetched.into_iter().find_map(Either::right))
        })
    }

    fn prepare_with<'x>(
        self,
        sql: SqlStr,
        parameters: &'x [PgTypeInfo],
    ) -> BoxFuture<'x, Result<PgStatement, sqlx::Error>>
    where
        'e: 'x,
    {
        self.on.connection().prepare_with(sql, parameters)
    }

    fn describe<'x>(self, sql: SqlStr) -> BoxFuture<'x, Result<Describe<Postgres>, sqlx::Error>>
    where
        'e: 'x,
    {
        self.on.connection().describe(sql)
    }
}

/// A statement that is prepared without a name.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
