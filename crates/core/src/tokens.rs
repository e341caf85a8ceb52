//! The use cases: create, list, delete, verify.
//!
//! Each goes the same way: permission first, then the form of the request, then what exists. Refused
//! management calls are written to the audit log; verifications write nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekey_lease::Nonce;
use gatekey_model::{
    RequestId, Timestamp, TokenName, TokenPrefix, TokenType, TokenValue, Validity, Verdict, Violations,
};
use sha2::{Digest, Sha256};
use tracing::{error, info};

use crate::{
    Action, AuditEntry, Call, Clock, CreateRequest, CreateToken, Created, DeleteToken, DeletionReceipt,
    Error, Insertion, ListCursor, ListTokens, NewToken, Outcome, PAGE_MAX, Page, Revocation, Role, Store,
    Verification, VerifyTarget, VerifyToken,
};

/// How long a request id is remembered.
const REQUEST_WINDOW: Duration = Duration::from_hours(24);

/// What an operator decides about tokens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The prefix of new token values.
    pub prefix: TokenPrefix,
    /// How many live tokens a tenant may have.
    pub tokens_per_tenant: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { prefix: TokenPrefix::default(), tokens_per_tenant: 1_000 }
    }
}

/// The use cases.
#[derive(Clone)]
pub struct Tokens {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl Tokens {
    /// The use cases over a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self { store, clock, settings }
    }

    /// Creates a token for the caller's tenant. For developers.
    ///
    /// The request comes as the result of parsing it, so that permission is checked before its form.
    pub async fn create(
        &self,
        call: &Call,
        request: Result<CreateToken, Violations>,
    ) -> Result<Created, Error> {
        let outcome = self.try_create(call, request).await;
        self.audited(call, Action::Create, None, outcome).await
    }

    async fn try_create(
        &self,
        call: &Call,
        request: Result<CreateToken, Violations>,
    ) -> Result<Created, Error> {
        let tenant = call.tenant_as(&[Role::Developer])?;
        let CreateToken { name, kind, validity, request_id } = request?;
        let now = self.clock.now();
        let payload = payload_digest(&name, kind, validity);
        let request = request_id.map(|id| new_request(id, payload, now)).transpose()?;
        let value = TokenValue::generate(&self.settings.prefix, kind)?;
        let insertion = self.store.insert_token(NewToken {
            name,
            key: value.key(),
            kind,
            tenant: tenant.clone(),
            digest: value.digest(),
            expires: validity.expiry(now),
            act: call.act(now),
            limit: self.settings.tokens_per_tenant,
            request,
        });
        match insertion.await? {
            Insertion::Created { token, replaced } => {
                if let Some(Revocation { position, .. }) = replaced {
                    info!(%position, "the token of an earlier call with this request id is revoked");
                }
                info!(token.id = %token.id, token.key = %token.key, "token created");
                Ok(Created { token, value })
            }
            Insertion::LimitReached => {
                Err(Error::TokenLimitReached { limit: self.settings.tokens_per_tenant })
            }
            Insertion::RequestIdReused => Err(Error::RequestIdReused),
            Insertion::RequestIdSpent => Err(Error::RequestIdSpent),
        }
    }

    /// Lists a page of the tokens of the caller's tenant. For developers.
    pub async fn list(&self, call: &Call, request: Result<ListTokens, Violations>) -> Result<Page, Error> {
        let outcome = self.try_list(call, request).await;
        self.audited(call, Action::List, None, outcome).await
    }

    async fn try_list(&self, call: &Call, request: Result<ListTokens, Violations>) -> Result<Page, Error> {
        let tenant = call.tenant_as(&[Role::Developer])?;
        let ListTokens { page_size, after } = request?;
        let page_size = page_size.clamp(1, PAGE_MAX);
        // One more than asked for tells whether there is a next page.
        let mut tokens = self.store.list_tokens(tenant, after, page_size + 1).await?;
        let more = tokens.len() > page_size as usize;
        tokens.truncate(page_size as usize);
        let last = tokens.last().filter(|_| more);
        let next = last.map(|token| ListCursor { created: token.created, id: token.id });
        Ok(Page { tokens, next })
    }

    /// Deletes a token of the caller's tenant. For developers and admins.
    ///
    /// Every verification reads the store as yet and nothing is cached anywhere, so the commit alone
    /// puts the revocation into force: nobody has to confirm it and no lease is waited out.
    pub async fn delete(
        &self,
        call: &Call,
        request: Result<DeleteToken, Violations>,
    ) -> Result<DeletionReceipt, Error> {
        let id = request.as_ref().ok().map(|request| request.id.get());
        let outcome = self.try_delete(call, request).await;
        self.audited(call, Action::Delete, id, outcome).await
    }

    async fn try_delete(
        &self,
        call: &Call,
        request: Result<DeleteToken, Violations>,
    ) -> Result<DeletionReceipt, Error> {
        let started = Instant::now();
        let tenant = call.tenant_as(&[Role::Developer, Role::Admin])?;
        let DeleteToken { id } = request?;
        let act = call.act(self.clock.now());
        let revoked = self.store.revoke_token(tenant, id, fresh_nonce()?, &act).await?;
        let Revocation { position, repeated } = revoked.ok_or(Error::TokenNotFound)?;
        info!(token.id = %id, %position, repeated, "token deleted");
        Ok(DeletionReceipt {
            revision: position,
            holders_confirmed: 0,
            leases_waited_out: 0,
            elapsed: started.elapsed(),
        })
    }

    /// Says whether a token is good. For verifiers.
    pub async fn verify(
        &self,
        call: &Call,
        request: Result<VerifyToken, Violations>,
    ) -> Result<Verification, Error> {
        call.require_verifier()?;
        let VerifyToken { target, required, holder } = request?;
        let VerifyTarget::Digest(digest) = target else {
            let verdict = Verdict::Malformed;
            return Ok(Verification { verdict, token: None, revision: None, cacheable: false });
        };
        let snapshot = self.store.find_by_digest(&digest, holder).await?;
        let verdict = match &snapshot.found {
            None => Verdict::Unknown,
            Some(found) if found.revoked.is_some() => Verdict::Revoked,
            // The clock is read after the store: a slow read must not let an expired token pass.
            Some(found) => Verdict::on(&found.token, required, self.clock.now()),
        };
        Ok(Verification {
            verdict,
            token: snapshot.found.map(|found| found.token),
            revision: Some(snapshot.head),
            cacheable: snapshot.contains_holder,
        })
    }

    /// Writes a refusal to the audit log. The caller gets the refusal even if that fails.
    async fn audited<T>(
        &self,
        call: &Call,
        action: Action,
        token_id: Option<i64>,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Err(refused) = &outcome
            && let Some(reason) = refused.refusal()
        {
            let act = call.act(self.clock.now());
            let entry = AuditEntry { act, action, token_id, outcome: Outcome::Refused(reason) };
            if let Err(cause) = self.store.record_refusal(&entry).await {
                error!(?entry, ?cause, "a refusal could not be written to the audit log");
            }
        }
        outcome
    }
}

fn fresh_nonce() -> Result<Nonce, getrandom::Error> {
    getrandom::u64().map(Nonce::from_bits)
}

fn new_request(id: RequestId, payload: [u8; 32], now: Timestamp) -> Result<CreateRequest, Error> {
    Ok(CreateRequest { id, payload, since: now.saturating_sub(REQUEST_WINDOW), nonce: fresh_nonce()? })
}

/// Tells payloads apart. The fields before the name have a fixed form, so no two payloads run together.
fn payload_digest(name: &TokenName, kind: TokenType, validity: Validity) -> [u8; 32] {
    Sha256::digest(format!("{kind} {} {name}", validity.years())).into()
}
