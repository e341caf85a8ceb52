//! Token values on standard input, as somebody found them. Only their digests and keys leave this file.

use std::collections::HashSet;
use std::io::{self, BufRead};

use gatekey_model::{PresentedToken, TokenDigest};
use zeroize::Zeroizing;

/// What stood on standard input.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Each value once, in the order in which they came.
    pub(super) values: Vec<Value>,
    /// The numbers of the lines, from 1 on, in which there was something and no value.
    pub(super) malformed: Vec<usize>,
}

/// A value, by what may be shown of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) digest: TokenDigest,
}

/// Reads to the end. Values may stand among other text, as in a line of a log.
pub(super) fn read(mut input: impl BufRead) -> io::Result<Given> {
    let mut given = Given::default();
    let mut seen = HashSet::new();
    let mut line = Zeroizing::new(Vec::with_capacity(4_096));
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let mut any = false;
        for token in PresentedToken::find_in(&text) {
            any = true;
            if seen.insert(token.digest()) {
                let key = token.key().to_owned();
                given.values.push(Value { line: number, key, digest: token.digest() });
            }
        }
        if !any {
            given.malformed.push(number);
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use gatekey_model::{TokenPrefix, TokenType, TokenValue};

    use super::*;

    fn value() -> TokenValue {
        TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers")
    }

    #[test]
    fn values_are_found_wherever_they_stand_and_each_once() {
        let (one, other) = (value(), value());
        let text = format!(
            "{}\n\n  token=\"{}\" and {}\r\nnonsense\n\u{fffd}\u{1}\n{}",
            one.expose(),
            other.expose(),
            one.expose(),
            &one.expose()[1..]
        );
        let given = read(text.as_bytes()).expect("read");
        let found: Vec<_> = given.values.iter().map(|value| (value.line, value.digest)).collect();
        assert_eq!(found, [(1, one.digest()), (3, other.digest())]);
        assert_eq!(given.malformed, [4, 5, 6], "a value that lost its first letter is none");
        assert!(!format!("{given:?}").contains(&one.expose()[13..]));
    }
}
