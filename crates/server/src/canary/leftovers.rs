//! What the canary has made and not yet deleted, so that it leaves nothing behind. Deleting it is left to
//! `round.rs`.

use std::fmt;

use gatekey_lease::Digest;
use uuid::Uuid;

/// What every token of a canary is called.
pub(super) const NAME: &str = "gatekey canary";

/// When so much is left, no more is made.
const MOST: usize = 16;

/// A token, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) id: i64,
    pub(super) digest: Digest,
}

/// Whatever is noted before it is made and forgotten after it is deleted, so that a round may be cut off anywhere.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Calls of CreateToken that got no clear answer.
    creates: Vec<Uuid>,
    tokens: Vec<Made>,
}

impl Leftovers {
    /// Before a CreateToken.
    pub(super) fn asked(&mut self, request: Uuid) {
        self.creates.push(request);
    }

    /// A CreateToken made nothing, or nothing that is left, and never will.
    pub(super) fn made_nothing(&mut self, request: Uuid) {
        self.creates.retain(|asked| *asked != request);
    }

    pub(super) fn made(&mut self, request: Uuid, token: Made) {
        self.made_nothing(request);
        self.found(token);
    }

    /// A token that a repeat of a CreateToken made: there may be more.
    pub(super) fn found(&mut self, token: Made) {
        self.tokens.push(token);
    }

    pub(super) fn deleted(&mut self, token: Made) {
        self.tokens.retain(|made| made.id != token.id);
    }

    /// The oldest CreateToken without a clear answer.
    pub(super) fn create(&self) -> Option<Uuid> {
        self.creates.first().copied()
    }

    /// The oldest token.
    pub(super) fn token(&self) -> Option<Made> {
        self.tokens.first().copied()
    }

    pub(super) fn is_full(&self) -> bool {
        self.creates.len() + self.tokens.len() >= MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.creates.is_empty() && self.tokens.is_empty()
    }
}

/// For an operator who has to look after it.
impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.tokens.is_empty() {
            let ids: Vec<String> = self.tokens.iter().map(|token| token.id.to_string()).collect();
            parts.push(format!("not known to be deleted, by id: {}", ids.join(", ")));
        }
        if !self.creates.is_empty() {
            parts.push(format!("not known to have been made: {}", self.creates.len()));
        }
        write!(f, "tokens named \"{NAME}\" may be left behind ({})", parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: i64) -> Made {
        Made { id, digest: Digest([1; 32]) }
    }

    #[test]
    fn what_was_asked_for_is_left_until_it_is_deleted() {
        let mut left = Leftovers::default();
        let [first, second] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        left.asked(first);
        left.asked(second);
        left.made(second, token(17));
        assert_eq!((left.create(), left.token()), (Some(first), Some(token(17))));
        let said = left.to_string();
        assert!(said.contains("17") && said.contains("made: 1"), "{said}");
        left.made_nothing(first);
        left.deleted(token(17));
        assert!(left.is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let mut left = Leftovers::default();
        for id in 1..MOST {
            left.made(Uuid::nil(), token(i64::try_from(id).expect("few")));
        }
        assert!(!left.is_full());
        left.asked(Uuid::nil());
        assert!(left.is_full());
    }
}
