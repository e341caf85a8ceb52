//! Rings within this process, as no other has the file.

use std::sync::Arc;

use async_trait::async_trait;
use gatekey_core::{Bell, Ring, StoreError};
use tokio::sync::watch;

use crate::fault::{Fault, store_error};

/// Rings every bell. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bells(Arc<Channels>);

#[derive(Debug, Default)]
struct Channels {
    revocations: watch::Sender<()>,
    confirmations: watch::Sender<()>,
}

impl Bells {
    /// For what is committed.
    pub(crate) fn ring(&self, ring: Ring) {
        match ring {
            Ring::Revocation => self.0.revocations.send_replace(()),
            Ring::Confirmation => self.0.confirmations.send_replace(()),
        }
    }

    /// A bell that rings for whatever is committed from here on.
    pub(crate) fn listen(&self) -> SqliteBell {
        SqliteBell {
            revocations: self.0.revocations.subscribe(),
            confirmations: self.0.confirmations.subscribe(),
        }
    }
}

/// Rings once for all that happened since it rang last.
pub(crate) struct SqliteBell {
    revocations: watch::Receiver<()>,
    confirmations: watch::Receiver<()>,
}

#[async_trait]
impl Bell for SqliteBell {
    async fn ring(&mut self) -> Result<Ring, StoreError> {
        let (changed, ring) = tokio::select! {
            changed = self.revocations.changed() => (changed, Ring::Revocation),
            changed = self.confirmations.changed() => (changed, Ring::Confirmation),
        };
        changed.map(|()| ring).map_err(|_| store_error(Fault::Gone))
    }
}
