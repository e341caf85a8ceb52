//! The use cases: create, list, delete, verify.
//!
//! Each goes the same way: permission first, then the form of the request, then what exists. Refused
//! management calls are written to the audit log; verifications write nothing.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Moment, Nonce, Receipt};
use gatekey_model::{
    RequestId, Timestamp, TokenName, TokenPrefix, TokenType, TokenValue, Validity, Verdict, Violations,
};
use sha2::{Digest, Sha256};
use tracing::{Instrument, error, info};

use crate::revocation::Known;
use crate::traces;
use crate::{
    Action, AuditEntry, Call, Clock, CreateRequest, CreateToken, Created, DeleteToken, DeletionReceipt,
    Error, Insertion, ListCursor, ListTokens, NewToken, Outcome, PAGE_MAX, Page, Revocation, Revocations,
    Role, Store, Verification, VerifyTarget, VerifyToken,
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
    revocations: Revocations,
}

impl Tokens {
    /// The use cases over a store, and over the replica that runs over the same store.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        revocations: Revocations,
    ) -> Self {
        Self { store, clock, settings, revocations }
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
        let begun = self.clock.moment();
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
                if let Some(revocation) = replaced {
                    info!(
                        position = %revocation.position,
                        "the token of an earlier call with this request id is revoked"
                    );
                    self.in_force(call, begun, revocation).await?;
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
    /// Returns once the token is accepted nowhere: everyone who may have cached it has confirmed that it is
    /// dropped, or can no longer have a living lease. What is committed stands, whether or not the caller waits.
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
        let begun = self.clock.moment();
        let tenant = call.tenant_as(&[Role::Developer, Role::Admin])?;
        let DeleteToken { id } = request?;
        let act = call.act(self.clock.now());
        let revoked = self.store.revoke_token(tenant, id, fresh_nonce()?, &act).await?;
        let revocation = revoked.ok_or(Error::TokenNotFound)?;
        let Revocation { position, repeated, .. } = revocation;
        info!(token.id = %id, %position, repeated, "token deleted");
        let receipt = self.in_force(call, begun, revocation).await?;
        Ok(DeletionReceipt {
            revision: receipt.position,
            holders_confirmed: receipt.holders_confirmed,
            leases_waited_out: receipt.leases_waited_out,
            elapsed: receipt.elapsed,
        })
    }

    async fn in_force(&self, call: &Call, begun: Moment, revocation: Revocation) -> Result<Receipt, Error> {
        let deadline = call.deadline.unwrap_or(Moment::from_nanos(u64::MAX));
        let position = revocation.position;
        let span = traces::awaiting();
        let outcome = self.revocations.in_force(revocation, begun, deadline).instrument(span.clone()).await;
        traces::awaited(&span, &outcome);
        let receipt = outcome.inspect_err(|cause| {
            info!(%position, %cause, "the revocation is not known to be in force everywhere yet");
        })?;
        info!(
            %position,
            holders_confirmed = receipt.holders_confirmed,
            leases_waited_out = receipt.leases_waited_out,
            elapsed_ms = receipt.elapsed.as_millis(),
            "the revocation is in force everywhere"
        );
        Ok(receipt)
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
        let answer = self.revocations.look_up(&digest, holder).await?;
        let (verdict, token) = match answer.known {
            Known::Unknown => (Verdict::Unknown, None),
            Known::Revoked(token) => (Verdict::Revoked, Some(token)),
            // The clock is read after the store: a slow read must not let an expired token pass.
            Known::Live(token) => (Verdict::on(&token, required, self.clock.now()), Some(token)),
        };
        Ok(Verification { verdict, token, revision: Some(answer.revision), cacheable: answer.cacheable })
    }

    /// Writes to the audit log that a surface refused a call before it came here, for this reason of the error table in lower
    /// case. The caller gets the refusal even if that fails.
    pub async fn record_refusal(
        &self,
        call: &Call,
        action: Action,
        token_id: Option<i64>,
        reason: &'static str,
    ) {
        let act = call.act(self.clock.now());
        let entry = AuditEntry { act, action, token_id, outcome: Outcome::Refused(reason) };
        if let Err(cause) = self.store.record_refusal(&entry).await {
            error!(?entry, ?cause, "a refusal could not be written to the audit log");
        }
    }

    /// Writes it to the audit log if it is a refusal.
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
            self.record_refusal(call, action, token_id, reason).await;
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
