//! What people call a token.

use std::fmt;

use crate::{PresentedToken, Rule, Violations};

/// The most characters (Unicode scalar values) that a token name may have.
pub const NAME_MAX_CHARS: usize = 255;

/// A token's name: trimmed, 1 to 255 characters, none of them a control character or a bidirectional
/// control, and no token value in it. Right-to-left text itself is welcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenName(String);

impl TokenName {
    /// Trims and checks a name.
    ///
    /// # Errors
    /// Every rule that the text breaks, for the field `name`.
    pub fn parse(text: &str) -> Result<Self, Violations> {
        let name = text.trim();
        let rules = [
            (name.is_empty(), Rule::NameRequired),
            (name.chars().nth(NAME_MAX_CHARS).is_some(), Rule::NameTooLong),
            (name.chars().any(char::is_control), Rule::NameControlCharacter),
            (name.chars().any(is_bidi_control), Rule::NameBidiControl),
            // Names are stored and shown, and a value must not be. To paste one here is an easy mistake.
            (PresentedToken::find_in(name).next().is_some(), Rule::NameHoldsTokenValue),
        ];
        let broken: Vec<Rule> =
            rules.into_iter().filter_map(|(broken, rule)| broken.then_some(rule)).collect();
        match Violations::all_of("name", &broken) {
            None => Ok(Self(name.to_owned())),
            Some(violations) => Err(violations),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The embeddings, overrides and isolates of UAX #9: they can make a name look like another.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TokenPrefix, TokenType, TokenValue};
    use proptest::prelude::*;

    fn rules(text: &str) -> Vec<Rule> {
        match TokenName::parse(text) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.as_slice().iter().map(|violation| violation.rule).collect(),
        }
    }

    #[test]
    fn takes_what_people_write() {
        for name in ["a", "Production Integration", "🎙️ live", "מפתח ייצור", "مفتاح", "日本語"]
        {
            assert_eq!(TokenName::parse(name).expect(name).as_str(), name);
        }
        assert_eq!(TokenName::parse("  two words \n").expect("trimmed").as_str(), "two words");
    }

    #[test]
    fn counts_characters_not_bytes() {
        assert_eq!(rules(&"😀".repeat(255)), []);
        assert_eq!(rules(&"😀".repeat(256)), [Rule::NameTooLong]);
        assert_eq!(rules(&format!("  {}  ", "x".repeat(255))), []);
    }

    #[test]
    fn refuses_blanks_and_controls() {
        for blank in ["", " ", "\t\n", "\u{3000}"] {
            assert_eq!(rules(blank), [Rule::NameRequired]);
        }
        for control in ["a\0b", "a\nb", "a\u{7f}b", "a\u{85}b", "\u{1b}[31mred"] {
            assert_eq!(rules(control), [Rule::NameControlCharacter], "{control:?}");
        }
        for bidi in ["a\u{202e}b", "\u{202a}b", "a\u{2066}", "a\u{2069}b"] {
            assert_eq!(rules(bidi), [Rule::NameBidiControl], "{bidi:?}");
        }
    }

    #[test]
    fn refuses_a_token_value_in_a_name() {
        let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        for name in [value.expose().to_owned(), format!("my key ({}).", value.expose())] {
            assert_eq!(rules(&name), [Rule::NameHoldsTokenValue]);
        }
        assert_eq!(rules(value.key().as_str()), [], "a key is public");
    }

    #[test]
    fn names_every_broken_rule_at_once() {
        let everything = format!("{}\0\u{202e}", "x".repeat(255));
        assert_eq!(
            rules(&everything),
            [Rule::NameTooLong, Rule::NameControlCharacter, Rule::NameBidiControl]
        );
    }

    proptest! {
        #[test]
        fn parsing_again_changes_nothing(text in any::<String>()) {
            if let Ok(name) = TokenName::parse(&text) {
                prop_assert_eq!(TokenName::parse(name.as_str()), Ok(name));
            }
        }
    }
}
