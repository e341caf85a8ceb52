//! The port for an operator, each method handed on to where its SQL is.

use async_trait::async_trait;
use futures_util::FutureExt;
use gatekey_core::{
    Act, EpochBegun, OperatorStore, Revocation, RevokedToken, Ring, SelectedToken, Selection, StoreError,
};
use gatekey_lease::{Nonce, Seq};
use gatekey_model::TokenId;

use crate::{SqliteStore, operator};

#[async_trait]
impl OperatorStore for SqliteStore {
    async fn select_tokens(
        &self,
        selection: &Selection,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<SelectedToken>, StoreError> {
        let selection = selection.clone();
        self.database
            .read(move |connection| operator::select(connection, selection, after, limit).boxed())
            .await
    }

    async fn begin_run(&self, act: &Act, reason: Option<&str>) -> Result<Revocation, StoreError> {
        let (act, reason) = (act.clone(), reason.map(str::to_owned));
        self.database.write(move |connection| operator::begin_run(connection, act, reason).boxed()).await
    }

    async fn revoke_tokens(
        &self,
        tokens: Vec<(TokenId, Nonce)>,
        act: &Act,
    ) -> Result<Vec<(TokenId, Revocation)>, StoreError> {
        let (act, bells) = (act.clone(), self.bells.clone());
        let written = move |revoked: &Vec<(TokenId, Revocation)>| {
            if revoked.iter().any(|(_, revocation)| !revocation.repeated) {
                bells.ring(Ring::Revocation);
            }
        };
        self.database
            .write_then(move |connection| operator::revoke_all(connection, tokens, act).boxed(), written)
            .await
    }

    async fn revoked_tokens(
        &self,
        revoked_after: Seq,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<RevokedToken>, StoreError> {
        self.database
            .read(move |connection| operator::revoked(connection, revoked_after, after, limit).boxed())
            .await
    }

    async fn begin_epoch(&self, epoch: u32) -> Result<EpochBegun, StoreError> {
        self.database.write(move |connection| operator::begin_epoch(connection, epoch).boxed()).await
    }
}
