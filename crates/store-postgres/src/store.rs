//! The store: the ports of `gatekey-core`, each method handed on to where its SQL is.

use async_trait::async_trait;
use futures_util::FutureExt;
use gatekey_core::{
    Act, AuditEntry, Insertion, ListCursor, LogEntry, NewToken, Revocation, RevocationLog, Snapshot,
    StoreError, TokenStore,
};
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest, TokenId};

use crate::bounded::Bounded;
use crate::connect::{Server, pool};
use crate::schema::{self, SchemaState};
use crate::trouble::Trouble;
use crate::{OpenError, PostgresOptions, audit, insert, read, revoke};

/// A store on Postgres. Clones share its connections.
#[derive(Clone)]
pub struct PostgresStore {
    server: Server,
    database: Bounded,
    options: PostgresOptions,
}

impl PostgresStore {
    /// Connects and checks the server. Changes nothing in the database, and does not look at its
    /// schema: see [`Self::ensure_schema`].
    ///
    /// A server that goes away later is come back to by itself.
    pub async fn connect(options: PostgresOptions) -> Result<Self, OpenError> {
        let server = Server::parse(&options.url)?;
        server.connect(options.operation_timeout).await?;
        let trouble = Trouble::default();
        let pool = pool(&server, &options, trouble.clone());
        let database = Bounded::new(pool, options.operation_timeout, trouble);
        Ok(Self { server, database, options })
    }

    /// How the database's schema compares with the one that this program knows.
    pub async fn schema(&self) -> Result<SchemaState, OpenError> {
        self.database.run(|connection| schema::state(connection).boxed()).await.map_err(schema::read_error)
    }

    /// Passes if the database's schema is the one that this program knows.
    pub async fn ensure_schema(&self) -> Result<(), OpenError> {
        self.schema().await?.require_current()
    }

    /// Brings the schema up to date, or refuses one that is newer or changed. May be called twice, and
    /// by two processes at once.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        schema::migrate(self.server.connect(self.options.operation_timeout).await?).await
    }

    /// Waits until what is under way has ended, and closes the connections. Whatever is asked later is
    /// answered by [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[async_trait]
impl TokenStore for PostgresStore {
    async fn insert_token(&self, token: NewToken) -> Result<Insertion, StoreError> {
        self.database.write(move |connection| insert::insert(connection, token).boxed()).await
    }

    async fn list_tokens(
        &self,
        tenant: &TenantId,
        after: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        let tenant = tenant.clone();
        self.database
            .read(move |connection| read::list_tokens(connection, tenant, after, limit).boxed())
            .await
    }

    async fn revoke_token(
        &self,
        tenant: &TenantId,
        id: TokenId,
        nonce: Nonce,
        act: &Act,
    ) -> Result<Option<Revocation>, StoreError> {
        let (tenant, act) = (tenant.clone(), act.clone());
        self.database
            .write(move |connection| revoke::revoke(connection, tenant, id, nonce, act).boxed())
            .await
    }

    async fn find_by_digest(
        &self,
        digest: &TokenDigest,
        holder: Option<Position>,
    ) -> Result<Snapshot, StoreError> {
        let digest = *digest;
        self.database.read(move |connection| read::find_by_digest(connection, digest, holder).boxed()).await
    }

    async fn record_refusal(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let entry = entry.clone();
        self.database.write(move |connection| audit::record(connection, entry).boxed()).await
    }

    /// Reads the head of the log: an empty database does not pass.
    async fn ping(&self) -> Result<(), StoreError> {
        self.head().await.map(|_| ())
    }
}

#[async_trait]
impl RevocationLog for PostgresStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.database.read(|connection| read::head(connection).boxed()).await
    }

    async fn entries_from(&self, from: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.database.read(move |connection| read::entries_from(connection, from, limit).boxed()).await
    }
}
