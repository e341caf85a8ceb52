//! Who calls, and what they may do.

use std::fmt;
use std::sync::Arc;

use gatekey_lease::Moment;
use gatekey_model::{TenantId, Timestamp};

use crate::{Act, Error};

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Creates, lists and deletes the tokens of their tenant.
    Developer,
    /// Deletes the tokens of their tenant.
    Admin,
    /// Verifies tokens of every tenant. Granted by configuration, never by a tenant.
    Verifier,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Developer, Self::Admin, Self::Verifier];

    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Verifier => "verifier",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Whether the role is in the set.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// The set without a role.
    #[must_use]
    pub const fn without(self, role: Role) -> Self {
        Self(self.0 & !role.bit())
    }

    /// The set with a role.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Role::ALL.into_iter().filter(|role| self.has(*role))).finish()
    }
}

/// Who calls, as their credentials prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who vouches for the subject.
    pub issuer: String,
    /// Who it is, in the issuer's words.
    pub subject: String,
    /// The tenant that they act for, if any.
    pub tenant: Option<TenantId>,
    /// What they may do.
    pub roles: Roles,
    /// When their credentials expire.
    pub expires: Timestamp,
}

/// One call: who calls, and the id by which the logs know the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// The call's id in logs and in the audit log.
    pub id: Arc<str>,
    /// By when an answer is wanted, if the caller said so.
    pub deadline: Option<Moment>,
}

impl Call {
    /// The tenant, if the caller has one of these roles there.
    pub(crate) fn tenant_as(&self, any_of: &[Role]) -> Result<&TenantId, Error> {
        if !any_of.iter().any(|role| self.caller.roles.has(*role)) {
            return Err(Error::RoleRequired);
        }
        self.caller.tenant.as_ref().ok_or(Error::TenantRequired)
    }

    /// Passes if the caller is a verifier, of whatever tenant.
    ///
    /// # Errors
    /// [`Error::RoleRequired`] otherwise.
    pub fn require_verifier(&self) -> Result<(), Error> {
        if self.caller.roles.has(Role::Verifier) { Ok(()) } else { Err(Error::RoleRequired) }
    }

    pub(crate) fn act(&self, at: Timestamp) -> Act {
        Act {
            issuer: self.caller.issuer.clone(),
            subject: self.caller.subject.clone(),
            tenant: self.caller.tenant.clone(),
            at,
            call_id: self.id.to_string(),
        }
    }
}
