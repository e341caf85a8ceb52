//! What gateways ask: may this request pass? The same decision for Envoy's ext_authz (`grpc/authorization.rs`) and for HTTP
//! forward-auth (`forward_auth.rs`). How their requests are read is in `convert`.

mod askers;
pub(crate) mod forward_auth;
pub(crate) mod path;
mod question;

use std::sync::Arc;
use std::time::Duration;

use gatekey_access::{Identity, Refusal, decide};
use gatekey_core::{Call, Tokens, VerifyTarget, VerifyToken, boottime};
use gatekey_model::Token;
use metrics::counter;
use tokio::time::timeout;

use crate::ApiError;
use crate::auth::refusals;
use crate::traces;

pub use askers::Gateways;
pub(crate) use question::{Mandate, NoRule, Question};

/// Gateways wait for a second as a rule, and make something of their own of what comes later.
const LONGEST: Duration = Duration::from_millis(800);
/// What is counted where whoever asks is no gateway.
pub(crate) const NOT_A_GATEWAY: &str = "NOT_A_GATEWAY";

/// Decides about one request, in time. `call` is that of the gateway.
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
    let longest = call.deadline.map_or(LONGEST, |deadline| deadline.since(boottime()).min(LONGEST));
    let Ok(verified) = timeout(longest, tokens.verify(call, Ok(request))).await else {
        refusals::log_gateway("DEADLINE_EXCEEDED", "the store did not answer in time");
        return Err(Refusal::Unverifiable);
    };
    let verification = verified.map_err(|error| {
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
    count_as(asker, decision.as_ref().map_or_else(|refusal| refusal.reason(), |_| "allowed"));
}

/// The same in words.
pub(crate) fn count_as(asker: &'static str, decision: &'static str) {
    traces::decided(decision);
    counter!("gatekey_gateway_decisions_total", "asker" => asker, "decision" => decision).increment(1);
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
