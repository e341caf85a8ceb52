//! The audit log: who did what, or was refused it.

use std::borrow::Cow;

use gatekey_model::{TenantId, Timestamp};

/// Who does something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The issuer who vouches for the subject.
    pub issuer: String,
    /// Who.
    pub subject: String,
    /// For which tenant.
    pub tenant: Option<TenantId>,
    /// When.
    pub at: Timestamp,
    /// The call's id, as in the logs.
    pub call_id: String,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To create a token.
    Create,
    /// To list tokens. In the audit log only when refused.
    List,
    /// To delete a token.
    Delete,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// A run of an operator's deletes begins, for this reason: each of them is an entry of its own, under the same id.
    Begun(Option<String>),
    /// A delete of a token that was deleted before: confirmed again.
    Repeated,
    /// A token was deleted because the call that had created it was repeated.
    Replaced,
    /// It was refused, for this reason.
    Refused(&'static str),
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who, and when.
    pub act: Act,
    /// What.
    pub action: Action,
    /// Which token, as the caller named it or as it was created.
    pub token_id: Option<i64>,
    /// With which outcome.
    pub outcome: Outcome,
}

impl Action {
    /// The action's name, as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

impl Outcome {
    /// The outcome as it is stored: `done`, `repeated`, `replaced`, the reason of a refusal, or `begun` and the reason of an
    /// operator's run.
    #[must_use]
    pub fn to_text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Done => "done",
            Self::Begun(None) => "begun",
            Self::Begun(Some(reason)) => return Cow::Owned(format!("begun: {reason}")),
            Self::Repeated => "repeated",
            Self::Replaced => "replaced",
            Self::Refused(reason) => reason,
        })
    }
}
