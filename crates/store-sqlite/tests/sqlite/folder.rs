//! A folder for one test, removed at its end, and what the tests put into a store.

use std::path::{Path, PathBuf};

use gatekey_core::{Act, Insertion, NewToken, Revocation, StoreError, TokenStore};
use gatekey_lease::Nonce;
use gatekey_model::{TenantId, Timestamp, Token, TokenName, TokenPrefix, TokenType, TokenValue};
use gatekey_store_sqlite::{SqliteOptions, SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create() -> Self {
        let random = getrandom::u64().expect("random numbers");
        let folder = std::env::temp_dir().join(format!("gatekey-test-{random:016x}"));
        std::fs::create_dir(&folder).expect("a new folder");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("gatekey.db")
    }

    pub(crate) async fn open(&self) -> SqliteStore {
        SqliteStore::open(SqliteOptions::new(self.file())).await.expect("opens")
    }

    /// A connection past the store.
    pub(crate) fn pool(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(self.file());
        SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options)
    }

    /// Runs statements past the store.
    pub(crate) async fn run(&self, sql: &'static str) {
        let pool = self.pool();
        sqlx::raw_sql(sql).execute(&pool).await.expect("runs");
        pool.close().await;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
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

pub(crate) async fn create(store: &SqliteStore) -> Result<Token, StoreError> {
    match store.insert_token(new_token()).await? {
        Insertion::Created { token, .. } => Ok(token),
        other => panic!("not created: {other:?}"),
    }
}

pub(crate) async fn revoke(store: &SqliteStore, token: &Token) -> Result<Revocation, StoreError> {
    let revoked = store.revoke_token(&acme(), token.id, Nonce::from_bits(7), &act()).await?;
    Ok(revoked.expect("the token exists"))
}
