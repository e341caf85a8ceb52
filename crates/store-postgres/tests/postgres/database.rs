//! A database for one test: made under a random name, and dropped at the end as well as it can be.

use std::sync::Arc;

use gatekey_core::{Act, Insertion, NewToken, Revocation, StoreError, TokenStore};
use gatekey_lease::Nonce;
use gatekey_model::{TenantId, Timestamp, Token, TokenName, TokenPrefix, TokenType, TokenValue};
use gatekey_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let url = std::env::var("GATEKEY_TEST_POSTGRES")
            .expect("GATEKEY_TEST_POSTGRES names no server: run `scripts/test`, which starts one");
        let server: PgConnectOptions = url.parse().expect("a Postgres URL");
        let name = format!("gatekey_{}", Uuid::new_v4().simple());
        let (host, port) = (server.get_host().to_owned(), server.get_port());
        let this = Self { server, name, host, port };
        let create = format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'", this.name);
        this.on_server(create).await;
        this
    }

    /// The database with the schema, and a store on it.
    pub(crate) async fn migrated() -> (Self, PostgresStore) {
        let database = Self::create().await;
        let store = database.store().await;
        store.migrate().await.expect("migrates");
        (database, store)
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::new(self.url(&self.host, self.port))
    }

    /// The database's URL, by way of another address.
    pub(crate) fn url(&self, host: &str, port: u16) -> String {
        format!("postgres://{}@{host}:{port}/{}?sslmode=disable", self.server.get_username(), self.name)
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::connect(self.options()).await.expect("connects")
    }

    /// A connection past the store.
    pub(crate) async fn connection(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.expect("connects")
    }

    /// Connections past the store.
    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(1).connect_lazy_with(self.server.clone().database(&self.name))
    }

    /// Runs statements past the store.
    pub(crate) async fn run(&self, sql: &'static str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("runs");
        connection.close().await.expect("closes");
    }

    /// A role of the database's own name, which may do everything with the tables that there are.
    pub(crate) async fn role(&self) -> PostgresOptions {
        let url = self.bare_role().await;
        self.run("GRANT ALL ON ALL TABLES IN SCHEMA public TO public").await;
        PostgresOptions::new(url)
    }

    /// A role of the database's own name, which may do nothing yet: the database's URL for it.
    pub(crate) async fn bare_role(&self) -> String {
        self.change("CREATE ROLE {} LOGIN").await;
        format!("postgres://{0}@{1}:{2}/{0}?sslmode=disable", self.name, self.host, self.port)
    }

    /// Gives that role a right: a statement without its last word.
    pub(crate) async fn grant(&self, statement: &str) {
        let mut connection = self.connection().await;
        let grant = AssertSqlSafe(format!("{statement}{}", self.name));
        sqlx::raw_sql(grant).execute(&mut connection).await.expect("runs");
        connection.close().await.expect("closes");
    }

    /// Changes what the role or the database may do; `{}` stands for the name of both.
    pub(crate) async fn change(&self, sql: &'static str) {
        self.on_server(sql.replace("{}", &self.name)).await;
    }

    /// Ends every connection to the database.
    pub(crate) async fn terminate(&self) {
        let mut connection = self.server.connect().await.expect("connects");
        sqlx::query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1")
            .bind(&self.name)
            .execute(&mut connection)
            .await
            .expect("terminates");
    }

    pub(crate) async fn drop(&self) {
        self.on_server(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    async fn on_server(&self, sql: String) {
        let mut connection = self.server.connect().await.expect("connects");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("runs");
        connection.close().await.expect("closes");
    }
}

pub(crate) fn acme() -> TenantId {
    TenantId::parse("acme").expect("a tenant")
}

pub(crate) fn act() -> Act {
    Act {
        issuer: "https://issuer.example".to_owned(),
        subject: "ada".to_owned(),
        tenant: Some(acme()),
        at: Timestamp::from_unix_micros(1_700_000_000_123_456).expect("a moment"),
        call_id: "call".to_owned(),
    }
}

pub(crate) fn new_token() -> NewToken {
    let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
    NewToken {
        name: TokenName::parse("Production").expect("a name"),
        key: value.key(),
        kind: TokenType::Batch,
        tenant: acme(),
        digest: value.digest(),
        expires: Timestamp::from_unix_micros(4_000_000_000_000_000).expect("a moment"),
        act: act(),
        limit: 1_000,
        request: None,
    }
}

pub(crate) async fn create(store: &PostgresStore) -> Token {
    match store.insert_token(new_token()).await.expect("an answer") {
        Insertion::Created { token, .. } => token,
        other => panic!("not created: {other:?}"),
    }
}

pub(crate) async fn revoke(store: &PostgresStore, token: &Token) -> Result<Revocation, StoreError> {
    let revoked = store.revoke_token(&acme(), token.id, Nonce::from_bits(7), &act()).await?;
    Ok(revoked.expect("the token exists"))
}

pub(crate) fn shared(store: &PostgresStore) -> Arc<PostgresStore> {
    Arc::new(store.clone())
}
