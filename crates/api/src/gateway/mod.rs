//! What gateways ask: may this request pass? The same decision for Envoy's ext_authz (`grpc/authorization.rs`) and for HTTP
//! forward-auth (`forward_auth.rs`). How their requests are read is in `convert`.

mod askers;
pub(crate) mod forward_auth;
pub(crate) mod path;
mod question;

use std::sync::Arc;

use gatekey_access::{Identity, Refusal, decide};
use gatekey_core::{Call, Tokens, VerifyTarget, VerifyToken};
use gatekey_model::Token;
use metrics::counter;

use crate::ApiError;
use crate::auth::refusals;

pub use askers::Gateways;
pub(crate) use askers::{Peer, Proof};
pub(crate) use question::{Mandate, NoRule, Question};

/// Decides about one request. `call` is that of the gateway.
pub(crate) async fn answer(
    tokens: &Tokens,
    call: &Call,
    question: Question<'_>,
) -> Result<Arc<Token>, Refusal> {
    // As the interceptor does: first the rule, then the token.
    let rule = question.rule.map_err(|why| {
        refusals::log_gateway("NO_ACCESS_RULE", why.as_str());
        Refusal::NoRule
    })?;
    let target = VerifyTarget::Digest(question.presented?.digest());
    let request = VerifyToken { target, required: rule.required(), holder: None };
    let verification = tokens.verify(call, Ok(request)).await.map_err(|error| {
        // It logs the cause. Whatever it is, nobody can tell.
        let error = ApiError::from(error);
        refusals::log_gateway(error.reason_name(), "a gateway was told that nobody can tell");
        Refusal::Unverifiable
    })?;
    decide(verification.verdict, rule)?;
    // There is one with every verdict that lets through.
    verification.token.ok_or(Refusal::Unverifiable)
}

/// Counts what became of a question.
pub(crate) fn count(asker: &'static str, decision: &Result<Arc<Token>, Refusal>) {
    let said = match decision {
        Ok(_) => "allowed",
        Err(refusal) => refusal.reason(),
    };
    counter!("gatekey_gateway_decisions_total", "asker" => asker, "decision" => said).increment(1);
}

/// A token as the headers for a service tell of it.
pub(crate) fn identity(token: &Token) -> Identity<'_> {
    Identity {
        id: token.id.get(),
        kind: token.kind,
        tenant: token.tenant.as_str(),
        name: token.name.as_str(),
        key: token.key.as_str(),
        expires: token.expires,
    }
}
