//! The prefix of newly made token values: tells people and secret scanners whose token it is.

use std::fmt;
use std::str::FromStr;

/// The part of a token value before the first underscore: 2 to 8 of `[a-z0-9]`, `gk` by default.
///
/// Only new tokens are made with it. Presented tokens may have any prefix, so that a change of the
/// setting kills no live token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPrefix(String);

/// A text that can't be a token prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token prefix has 2 to 8 characters, each of a-z or 0-9")]
pub struct InvalidPrefix;

impl TokenPrefix {
    /// The prefix itself, without the underscore.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[inline]
    pub(crate) fn is_valid(bytes: &[u8]) -> bool {
        (2..=8).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    }
}

impl Default for TokenPrefix {
    fn default() -> Self {
        Self("gk".to_owned())
    }
}

impl FromStr for TokenPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        if Self::is_valid(text.as_bytes()) { Ok(Self(text.to_owned())) } else { Err(InvalidPrefix) }
    }
}

impl fmt::Display for TokenPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_two_to_eight_lowercase_letters_and_digits() {
        for good in ["gk", "acme", "a1b2c3d4"] {
            assert_eq!(good.parse::<TokenPrefix>().expect("valid").as_str(), good);
        }
        for bad in ["", "g", "a1b2c3d4e", "Gk", "g_k", "gé", "g k"] {
            assert_eq!(bad.parse::<TokenPrefix>(), Err(InvalidPrefix), "{bad}");
        }
    }
}
