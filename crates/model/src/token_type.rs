//! What a token may be used for.

use std::fmt;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenType {
    /// Store the data, then process it.
    Batch,
    /// Process data as it comes.
    Realtime,
}

impl TokenType {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::Batch, Self::Realtime];

    /// The name, as it is stored and as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Realtime => "realtime",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The letter that stands for the type in a token value.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Batch => 'b',
            Self::Realtime => 'r',
        }
    }

    pub(crate) fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'b' => Some(Self::Batch),
            b'r' => Some(Self::Realtime),
            _ => None,
        }
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
