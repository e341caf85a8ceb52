//! The token value: its form, its making, and its parsing.
//!
//! `<prefix>_<b|r>_<public id: 8><secret: 30><checksum: 6>`, the last three of `[0-9A-Za-z]`. The
//! checksum is the CRC-32 (ISO-HDLC, as in zlib) of all bytes before it, as a number in base 62 with
//! the digits `0-9A-Za-z`, most significant first, padded with `0` to six digits.

use std::fmt;

use zeroize::Zeroizing;

use crate::{TokenDigest, TokenPrefix, TokenType};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PUBLIC_ID_LEN: usize = 8;
/// 30 digits of base 62 are 178.6 bits.
const SECRET_LEN: usize = 30;
const CHECKSUM_LEN: usize = 6;
/// What follows the public id.
const HIDDEN_LEN: usize = SECRET_LEN + CHECKSUM_LEN;
/// `_b_` and the public id.
const KEY_TAIL_LEN: usize = 3 + PUBLIC_ID_LEN;
/// The longest value, with a prefix of eight: with its padding it fills one block of SHA-256.
pub const VALUE_MAX_LEN: usize = 8 + KEY_TAIL_LEN + HIDDEN_LEN;
const _: () = assert!(VALUE_MAX_LEN == 55, "SHA-256 pads 55 bytes at the most into one block");

/// A whole token value: a secret.
///
/// Zeroed on drop; `Debug` shows nothing of it; there is no `Display` and no way to serialise it.
/// [`TokenValue::expose`] is the one way out.
pub struct TokenValue(Zeroizing<String>);

/// A text in the form of a token value, borrowed from where it came in. `Debug` shows its key only.
#[derive(Clone, Copy)]
pub struct PresentedToken<'a> {
    /// ASCII only.
    value: &'a [u8],
    hint: TokenType,
    checksum: u32,
}

/// A text that is not in the form of a token value. Carries nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token: its form or its checksum is wrong")]
pub struct MalformedToken;

/// The public part of a token value (`gk_b_4fZk91Qd`), for lists and logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey(String);

impl TokenValue {
    /// Makes a new value from the operating system's random numbers.
    ///
    /// # Errors
    /// If the operating system gives none.
    pub fn generate(prefix: &TokenPrefix, kind: TokenType) -> Result<Self, getrandom::Error> {
        let mut value = Zeroizing::new(String::with_capacity(VALUE_MAX_LEN));
        value.push_str(prefix.as_str());
        value.push('_');
        value.push(kind.letter());
        value.push('_');
        push_random_digits(&mut value, PUBLIC_ID_LEN + SECRET_LEN)?;
        let checksum = checksum(value.as_bytes());
        value.extend(checksum.map(char::from));
        Ok(Self(value))
    }

    /// The value itself, to be handed to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored in the value's stead.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.0.as_bytes())
    }

    /// The public part.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        TokenKey(key_part(&self.0).to_owned())
    }
}

impl fmt::Debug for TokenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenValue([redacted])")
    }
}

impl<'a> PresentedToken<'a> {
    /// Checks the form and the checksum. Any prefix is taken. Allocates nothing.
    ///
    /// # Errors
    /// If it is not a token value: a typo, a cut-off value, something else altogether.
    #[inline]
    pub fn parse(value: &'a str) -> Result<Self, MalformedToken> {
        Self::parse_bytes(value.as_bytes())
    }

    /// The same for bytes, as a header has them.
    ///
    /// # Errors
    /// If they are not a token value.
    #[inline]
    pub fn parse_bytes(bytes: &'a [u8]) -> Result<Self, MalformedToken> {
        let hidden_at = bytes.len().checked_sub(HIDDEN_LEN).ok_or(MalformedToken)?;
        let prefix_len = hidden_at.checked_sub(KEY_TAIL_LEN).ok_or(MalformedToken)?;
        let (prefix, rest) = bytes.split_at(prefix_len);
        let Some((&[b'_', letter, b'_'], random)) = rest.split_first_chunk() else {
            return Err(MalformedToken);
        };
        let hint = TokenType::from_letter(letter).ok_or(MalformedToken)?;
        // Without a branch for each byte, so that the compiler takes many at once.
        let digits = random.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_alphanumeric());
        let (checked, check) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
        let checksum = crc32fast::hash(checked);
        let well_formed = digits && TokenPrefix::is_valid(prefix) && number(check) == u64::from(checksum);
        if well_formed { Ok(Self { value: bytes, hint, checksum }) } else { Err(MalformedToken) }
    }

    /// The token values in a text, whatever stands around them.
    pub fn find_in(text: &'a str) -> impl Iterator<Item = Self> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter_map(|word| Self::parse(word).ok())
    }

    /// The checksum, as a number: as random as the value, known before its digest, and no proof of anything.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// What to look the token up by.
    #[inline]
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.value)
    }

    /// The public part.
    ///
    /// # Panics
    /// Never: a value in the right form is ASCII.
    #[must_use]
    pub fn key(&self) -> &'a str {
        key_part(std::str::from_utf8(self.value).expect("its form was checked"))
    }

    /// What the value says of its type. A hint: the stored type decides.
    #[must_use]
    pub fn type_hint(&self) -> TokenType {
        self.hint
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedToken({})", self.key())
    }
}

impl TokenKey {
    /// A key that was taken from a value before, as a store remembers it.
    #[must_use]
    pub fn from_stored(key: String) -> Self {
        Self(key)
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn key_part(value: &str) -> &str {
    &value[..value.len() - HIDDEN_LEN]
}

/// The number that digits stand for. What is no digit is taken for one that is too large: then so is the number.
fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 62 + u64::from(VALUES[usize::from(*digit)]))
}

/// What each byte stands for.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 62 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(bytes) as usize;
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    digits
}

/// Appends digits that are all equally likely: bytes from 248 (4 × 62) on are drawn again.
fn push_random_digits(text: &mut String, count: usize) -> Result<(), getrandom::Error> {
    let mut missing = count;
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while missing > 0 {
        getrandom::fill(bytes.as_mut_slice())?;
        let fair = bytes.iter().filter(|byte| **byte < 248).take(missing);
        missing -= fair.map(|byte| text.push(char::from(DIGITS[usize::from(*byte) % 62]))).count();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefixes() -> impl Strategy<Value = TokenPrefix> {
        "[a-z0-9]{2,8}".prop_map(|text| text.parse().expect("matches the rule"))
    }

    fn values() -> impl Strategy<Value = TokenValue> {
        (prefixes(), prop_oneof![Just(TokenType::Batch), Just(TokenType::Realtime)])
            .prop_map(|(prefix, kind)| TokenValue::generate(&prefix, kind).expect("random numbers"))
    }

    #[test]
    fn has_the_published_form() {
        let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        assert_eq!(value.expose().len(), 49);
        assert!(value.expose().starts_with("gk_b_"));
        assert_eq!(value.key().as_str(), &value.expose()[..13]);
        let longest = TokenValue::generate(&"abcdefgh".parse().expect("valid"), TokenType::Realtime);
        assert_eq!(longest.expect("random numbers").expose().len(), VALUE_MAX_LEN);
    }

    /// A known value, so that the checksum rule in the docs can't drift from the code.
    #[test]
    fn checksum_is_the_published_rule() {
        let body = "gk_b_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab";
        // zlib.crc32(body) in base 62, by an implementation in another language.
        assert_eq!(crc32fast::hash(body.as_bytes()), 0x7C4F_AE24);
        assert_eq!(&checksum(body.as_bytes()), b"2H8wya");
    }

    #[test]
    fn refuses_what_is_no_token() {
        let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        let value = value.expose();
        let cases = [
            String::new(),
            "gk_b_".to_owned(),
            format!(" {value}"),
            format!("{value} "),
            format!("{value}\n"),
            value[1..].to_owned(),
            value[..value.len() - 1].to_owned(),
            value.to_uppercase(),
            value.replacen("_b_", "_r_", 1),
            value.replacen("_b_", "_x_", 1),
            value.replacen("gk_", "gkgkgkgkg_", 1),
            value.repeat(1000),
            "é".repeat(25),
        ];
        for case in cases {
            assert!(PresentedToken::parse(&case).is_err(), "{case}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_parses(value in values()) {
            let presented = PresentedToken::parse(value.expose()).expect("just made");
            prop_assert_eq!(presented.digest(), value.digest());
            let key = value.key();
            prop_assert_eq!(presented.key(), key.as_str());
            prop_assert!(key.as_str().contains(presented.type_hint().letter()));
            prop_assert!(value.expose().len() <= VALUE_MAX_LEN);
        }

        #[test]
        fn every_single_character_change_is_refused(value in values(), with in proptest::char::any()) {
            for (at, was) in value.expose().char_indices().filter(|(_, was)| *was != with) {
                let mut changed = value.expose().to_owned();
                changed.replace_range(at..at + was.len_utf8(), with.encode_utf8(&mut [0; 4]));
                prop_assert!(PresentedToken::parse(&changed).is_err());
            }
        }

        #[test]
        fn every_printable_single_character_change_is_refused(value in values()) {
            for at in 0..value.expose().len() {
                for with in (0x20..0x7f).filter(|with| value.expose().as_bytes()[at] != *with) {
                    let mut changed = value.expose().as_bytes().to_vec();
                    changed[at] = with;
                    let changed = String::from_utf8(changed).expect("ASCII");
                    prop_assert!(PresentedToken::parse(&changed).is_err());
                }
            }
        }

        #[test]
        fn every_swap_of_neighbours_is_refused(value in values()) {
            for at in 1..value.expose().len() {
                let mut swapped = value.expose().as_bytes().to_vec();
                swapped.swap(at - 1, at);
                let swapped = String::from_utf8(swapped).expect("ASCII");
                prop_assert_eq!(PresentedToken::parse(&swapped).is_ok(), swapped == value.expose());
            }
        }

        #[test]
        fn nothing_shows_the_value(value in values()) {
            let presented = PresentedToken::parse(value.expose()).expect("just made");
            let secret = &value.expose()[value.key().as_str().len()..];
            let shown = format!("{value:?} {presented:?} {:?} {:?}", value.digest(), value.key());
            prop_assert!(!shown.contains(secret));
            let error = PresentedToken::parse(&value.expose()[1..]).expect_err("cut off");
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(&secret[..8]));
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            prop_assert!(PresentedToken::parse(&text).is_err());
        }
    }
}
