//! Hears by LISTEN of what other processes have committed, on a connection of its own. A transaction pooler
//! between here and the server would swallow it: there this never rings, and polling does the work.

use async_trait::async_trait;
use gatekey_core::{Bell, Ring, StoreError};
use sqlx::postgres::PgListener;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::PostgresOptions;
use crate::connect::{Server, pool};
use crate::fault::{Fault, store_error};
use crate::trouble::Trouble;

const REVOCATIONS: &str = "gatekey_revocations";
const CONFIRMATIONS: &str = "gatekey_confirmations";

/// A connection that listens, until something goes wrong on it.
pub(crate) struct PostgresBell {
    listener: Option<PgListener>,
    /// There is nothing to hear.
    silent: bool,
    trouble: Trouble,
}

impl PostgresBell {
    pub(crate) async fn open(
        server: &Server,
        options: &PostgresOptions,
        trouble: Trouble,
    ) -> Result<Self, Fault> {
        if server.is_pooled() {
            return Ok(Self { listener: None, silent: true, trouble });
        }
        // Of one connection, which it keeps for itself.
        let pool = pool(server, options, 1, trouble.clone());
        let open = async {
            let mut listener = PgListener::connect_with(&pool).await.map_err(Fault::Connect)?;
            // What is missed between two connections would be missed in silence: whoever listens is told.
            listener.eager_reconnect(false);
            listener.listen_all([REVOCATIONS, CONFIRMATIONS]).await?;
            Ok(Self { listener: Some(listener), silent: false, trouble })
        };
        timeout(options.operation_timeout, open).await.map_err(|_| Fault::TimedOut).flatten()
    }
}

impl Drop for PostgresBell {
    fn drop(&mut self) {
        // It says good-bye to the server in a task of its own, and panics where it can't have one. There the
        // process is about to end.
        if Handle::try_current().is_err() {
            std::mem::forget(self.listener.take());
        }
    }
}

#[async_trait]
impl Bell for PostgresBell {
    async fn ring(&mut self) -> Result<Ring, StoreError> {
        if self.silent {
            return std::future::pending().await;
        }
        let outcome = match &mut self.listener {
            Some(listener) => hear(listener).await,
            None => Err(Fault::Broken),
        };
        if outcome.is_err() {
            // It would connect again by itself.
            self.listener = None;
            self.trouble.note();
        }
        outcome.map_err(store_error)
    }
}

async fn hear(listener: &mut PgListener) -> Result<Ring, Fault> {
    loop {
        let heard = listener.try_recv().await?;
        match heard.ok_or(Fault::Broken)?.channel() {
            REVOCATIONS => return Ok(Ring::Revocation),
            CONFIRMATIONS => return Ok(Ring::Confirmation),
            _ => {}
        }
    }
}
