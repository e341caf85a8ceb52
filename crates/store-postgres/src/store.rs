//! The store: the ports of `gatekey-core`, each method handed on to where its SQL is.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use gatekey_core::{
    Act, AuditEntry, Bell, Insertion, LeaseStore, ListCursor, LogEntry, NewToken, ReplicaLine, ReplicaRows,
    Revocation, RevocationLog, Snapshot, StoreError, TokenStore, Trim, Trimmed,
};
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::{TenantId, Token, TokenDigest, TokenId};

use crate::bell::PostgresBell;
use crate::bounded::Bounded;
use crate::connect::{Server, pool};
use crate::fault::store_error;
use crate::line::PostgresLine;
use crate::replication::{self, Replication};
use crate::schema::{self, SchemaState};
use crate::trouble::Trouble;
use crate::way::Way;
use crate::{OpenError, Pooler, PostgresOptions, audit, insert, read, replica, revoke, trim};

/// The most connections for other calls than verifications: their order is that of the head's lock anyway.
const OTHERS: u32 = 8;
/// A server that has not been reached by then is unreachable, however long an operation may take.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// A store on Postgres. Clones share its connections.
#[derive(Clone)]
pub struct PostgresStore {
    server: Server,
    /// The same, past a pooler if there is one and a way past it was given.
    pub(crate) direct: Server,
    /// For verifications, so that no other call waits for them, nor they for others.
    verify: Bounded,
    /// For all other calls.
    pub(crate) database: Bounded,
    pub(crate) trouble: Trouble,
    pub(crate) options: PostgresOptions,
}

/// The connections of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Whose they are: `verify`, or `other`.
    pub pool: &'static str,
    /// How many wait for work.
    pub idle: u32,
    /// How many work.
    pub used: u32,
}

impl PostgresStore {
    /// Connects and checks the server, within 5 seconds or an operation's time if that is less. Changes nothing in the
    /// database, and does not look at its schema: see [`Self::ensure_schema`].
    ///
    /// A server that goes away later is come back to by itself.
    pub async fn connect(options: PostgresOptions) -> Result<Self, OpenError> {
        let way = match options.pooler {
            Pooler::None => Way::Direct,
            Pooler::Transaction => Way::pooled(&options),
        };
        let server = Server::parse(&options.url, way)?;
        let limit = options.operation_timeout.min(REACHED_WITHIN);
        let (_, instance) = server.connect(limit).await?;
        let mut direct = server.clone();
        if let Some(url) = &options.direct_url {
            direct = Server::parse(url, Way::Direct)?;
            // A lease that rests on another database than the deletes go to would be worth nothing.
            if direct.connect(limit).await?.1 != instance {
                return Err(OpenError::Elsewhere { direct: direct.name, pooled: server.name });
            }
        }
        let trouble = Trouble::default();
        let bounded = |connections| {
            let pool = pool(&server, &options, connections, trouble.clone());
            Bounded::new(pool, server.way.clone(), options.operation_timeout, trouble.clone())
        };
        let verify = bounded(options.max_connections);
        let database = bounded(others(&options));
        Ok(Self { server, direct, verify, database, trouble, options })
    }

    /// The most connections that a server takes: for verifications, for other calls, for its lease, and to hear of
    /// revocations.
    #[must_use]
    pub fn most_connections(&self) -> u32 {
        self.options.max_connections.saturating_add(others(&self.options) + 2)
    }

    /// The connections, by their pool.
    #[must_use]
    pub fn connections(&self) -> [Connections; 2] {
        [("verify", &self.verify), ("other", &self.database)].map(|(pool, bounded)| {
            let (idle, used) = bounded.connections();
            Connections { pool, idle, used }
        })
    }

    /// Whether the renewals of leases share a pooler with all other calls, and nobody listens.
    #[must_use]
    pub fn shares_pooler(&self) -> bool {
        self.direct.is_pooled()
    }

    /// Whether a failover would keep what was committed, as far as the server tells.
    pub async fn replication(&self) -> Result<Replication, StoreError> {
        self.database.read(|connection| replication::read(connection).boxed()).await
    }

    /// How the database's schema compares with the one that this program knows.
    pub async fn schema(&self) -> Result<SchemaState, OpenError> {
        self.database.run(|connection| schema::state(connection).boxed()).await.map_err(schema::read_error)
    }

    /// Passes if this program may use the database's schema: it is the one that it knows, or a newer one that says so.
    pub async fn ensure_schema(&self) -> Result<SchemaState, OpenError> {
        self.schema().await?.require_usable()
    }

    /// Brings the schema up to date and says how it was before; refuses one that is newer and incompatible, or changed.
    /// May be called twice, and by two processes at once.
    pub async fn migrate(&self) -> Result<SchemaState, OpenError> {
        self.migrate_and_tell(|_| {}).await
    }

    /// The same, and tells this, at once and every 10 seconds, for whom it waits while another process migrates.
    pub async fn migrate_and_tell(&self, waiting: impl Fn(&str) + Send) -> Result<SchemaState, OpenError> {
        if self.direct.is_pooled() {
            return Err(OpenError::NeedsDirect);
        }
        schema::migrate(self.direct.connect(self.options.operation_timeout).await?.0, waiting).await
    }

    /// Waits until what is under way has ended, and closes the connections. Whatever is asked later is
    /// answered by [`StoreError::Unavailable`].
    pub async fn close(&self) {
        tokio::join!(self.verify.close(), self.database.close());
    }
}

/// How many connections there are for all that is no verification.
fn others(options: &PostgresOptions) -> u32 {
    options.max_connections.min(OTHERS)
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
        self.verify.read(move |connection| read::find_by_digest(connection, digest, holder).boxed()).await
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

    async fn trim_log(&self, trim: Trim) -> Result<Trimmed, StoreError> {
        self.database.write(move |connection| trim::trim(connection, trim).boxed()).await
    }
}

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn open_line(&self) -> Result<Box<dyn ReplicaLine>, StoreError> {
        let line = PostgresLine::open(&self.direct, &self.options, self.trouble.clone()).await;
        Ok(Box::new(line.map_err(store_error)?))
    }

    async fn open_bell(&self) -> Result<Box<dyn Bell>, StoreError> {
        let bell = PostgresBell::open(&self.direct, &self.options, self.trouble.clone()).await;
        Ok(Box::new(bell.map_err(store_error)?))
    }

    async fn replica_rows(&self, positions: &[Position]) -> Result<ReplicaRows, StoreError> {
        let positions = positions.to_vec();
        self.database.read(move |connection| replica::rows(connection, positions).boxed()).await
    }

    async fn renew_connections(&self) {
        let pool = |connections| pool(&self.server, &self.options, connections, self.trouble.clone());
        self.verify.replace(|| pool(self.options.max_connections));
        self.database.replace(|| pool(others(&self.options)));
    }
}
