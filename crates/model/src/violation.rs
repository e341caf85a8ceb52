//! What is wrong with a request: every broken rule, each with the field that breaks it.

use std::fmt;

/// A rule that a field of a request can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A token needs a name.
    NameRequired,
    /// A token name has at most 255 characters.
    NameTooLong,
    /// A token name has no control characters.
    NameControlCharacter,
    /// A token name has no bidirectional controls.
    NameBidiControl,
    /// A token name holds no token value.
    NameHoldsTokenValue,
    /// A token is of type batch or realtime.
    TypeInvalid,
    /// A token is valid for 1, 2 or 5 years.
    YearsValidInvalid,
    /// A request id is a UUID.
    RequestIdInvalid,
    /// A token id is positive.
    TokenIdInvalid,
    /// A page size is not negative.
    PageSizeInvalid,
    /// A page token comes from an earlier page of the same tenant.
    PageTokenInvalid,
    /// A verification names a token.
    TokenRequired,
    /// A digest has 32 bytes.
    TokenSha256Invalid,
    /// A position has a number that is not negative.
    PositionInvalid,
    /// A holder has 16 bytes.
    HolderInvalid,
    /// A stream of a holder begins with a Hello, and has no other.
    WatchEventInvalid,
    /// A token name is text.
    NameNotText,
}

/// A field and the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's name, as in the request.
    pub field: &'static str,
    /// The rule.
    pub rule: Rule,
}

/// All that is wrong with a request; at least one violation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// One violation.
    #[must_use]
    pub fn of(field: &'static str, rule: Rule) -> Self {
        Self(vec![Violation { field, rule }])
    }

    /// One field that breaks several rules; nothing if there are none.
    #[must_use]
    pub fn all_of(field: &'static str, rules: &[Rule]) -> Option<Self> {
        (!rules.is_empty()).then(|| Self(rules.iter().map(|rule| Violation { field, rule: *rule }).collect()))
    }

    /// The violations, in the order of the request's fields.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    /// Takes the value out of a result, or keeps its violations for later: so that a request is
    /// told all that is wrong with it at once.
    pub fn collect<T>(collected: &mut Vec<Violation>, result: Result<T, Self>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(violations) => {
                collected.extend(violations.0);
                None
            }
        }
    }

    /// The violations collected; nothing if there are none.
    #[must_use]
    pub fn from_collected(collected: Vec<Violation>) -> Option<Self> {
        (!collected.is_empty()).then_some(Self(collected))
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid request:")?;
        self.0.iter().try_for_each(|violation| write!(f, " {}: {:?};", violation.field, violation.rule))
    }
}
