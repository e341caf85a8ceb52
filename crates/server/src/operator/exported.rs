//! The form of an export: lines of JSON, one a revocation, and a last one that says that it is whole.
//!
//! A digest says nothing of its value, which has 178 bits of randomness; a key is public.

use gatekey_core::RevokedToken;
use gatekey_lease::{Nonce, Position, Seq};
use gatekey_model::TokenDigest;
use serde::{Deserialize, Serialize};

use super::coverage::Piece;
use super::history::History;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// A token was revoked.
    Revoke {
        /// Where its revocation stands in the log.
        seq: i64,
        /// The nonce there, in 16 hexadecimal digits.
        nonce: String,
        /// SHA-256 of the value, in 64 hexadecimal digits.
        digest: String,
        /// The public part of the value.
        key: String,
        /// When (RFC 3339), as far as the log still had it.
        time: Option<String>,
    },
    /// The export is whole.
    End {
        /// Where the log stood: whoever exports what comes after it misses nothing.
        seq: i64,
        /// The nonce there.
        nonce: String,
        /// What it began after: it has all revocations from there to `seq`. 0 is the beginning of the log.
        after: i64,
        /// The nonce there; none at the beginning.
        after_nonce: Option<String>,
        /// How many lines came before this one.
        count: usize,
    },
}

impl Line {
    pub(super) fn of(revoked: &RevokedToken) -> Self {
        Self::Revoke {
            seq: revoked.position.seq.get(),
            nonce: nonce(revoked.position),
            digest: digits(revoked.digest.as_bytes()),
            key: revoked.key.as_str().to_owned(),
            time: revoked.at.map(|at| at.to_string()),
        }
    }

    pub(super) fn end(head: Position, after: Option<Position>, count: usize) -> Self {
        Self::End {
            seq: head.seq.get(),
            nonce: nonce(head),
            after: after.map_or(0, |after| after.seq.get()),
            after_nonce: after.map(nonce),
            count,
        }
    }
}

/// As `sha256sum` prints it.
pub(super) fn digits(digest: &[u8; 32]) -> String {
    let (high, low) = digest.split_at(16);
    let number = |half: &[u8]| half.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("{:032x}{:032x}", number(high), number(low))
}

fn nonce(position: Position) -> String {
    format!("{:016x}", position.nonce.bits())
}

/// What a text of exports has. Several exports may follow one another.
#[derive(Debug, Default)]
pub(super) struct Exported {
    pub(super) digests: Vec<TokenDigest>,
    /// The numbers of the lines, from 1 on, that are none of an export.
    pub(super) malformed: Vec<usize>,
    /// Whether each export has its last line, with the right count.
    pub(super) whole: bool,
    /// What those have that are whole.
    pub(super) pieces: Vec<Piece>,
    /// What stands at each number that they name.
    pub(super) history: History,
}

impl Exported {
    pub(super) fn read(text: &str) -> Self {
        let mut exported = Self { whole: true, ..Self::default() };
        let mut since_end = 0;
        let mut odd_before = 0;
        let mut ended = false;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            ended = false;
            match serde_json::from_str(line) {
                Ok(Line::Revoke { seq, nonce, digest, .. }) => {
                    since_end += 1;
                    match parse_digest(&digest).zip(position(seq, &nonce)) {
                        Some((digest, position)) => {
                            exported.digests.push(digest);
                            exported.history.saw(position);
                        }
                        None => exported.malformed.push(index + 1),
                    }
                }
                Ok(Line::End { seq, nonce, after, after_nonce, count }) => {
                    let ends = position(seq, &nonce);
                    let begins = match &after_nonce {
                        None if after == 0 => Some(None),
                        None => None,
                        Some(nonce) => position(after, nonce).map(Some),
                    };
                    let piece = begins.zip(ends).and_then(|_| Piece::new(after, seq));
                    if piece.is_none() {
                        exported.malformed.push(index + 1);
                    } else {
                        begins.flatten().into_iter().chain(ends).for_each(|end| exported.history.saw(end));
                    }
                    let whole = count == since_end;
                    exported.whole &= whole;
                    exported.pieces.extend(piece.filter(|_| whole && exported.malformed.len() == odd_before));
                    since_end = 0;
                    odd_before = exported.malformed.len();
                    ended = true;
                }
                Err(_) => exported.malformed.push(index + 1),
            }
        }
        exported.whole &= ended;
        exported.digests.sort_unstable();
        exported.digests.dedup();
        exported
    }
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn position(seq: i64, nonce: &str) -> Option<Position> {
    let nonce = is_hexadecimal(nonce, 16).then(|| u64::from_str_radix(nonce, 16).ok())??;
    Some(Position { seq: Seq::new(seq)?, nonce: Nonce::from_bits(nonce) })
}

fn parse_digest(text: &str) -> Option<TokenDigest> {
    if !is_hexadecimal(text, 64) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(TokenDigest::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use gatekey_model::{TokenId, TokenKey};

    use super::*;

    fn revoked(number: u8) -> RevokedToken {
        RevokedToken {
            id: TokenId::parse(i64::from(number)).expect("an id"),
            digest: TokenDigest::from_bytes([number; 32]),
            key: TokenKey::from_stored("gk_b_00000000".to_owned()),
            position: Position {
                seq: Seq::new(i64::from(number)).expect("a number"),
                nonce: Nonce::from_bits(u64::MAX),
            },
            at: None,
        }
    }

    fn export(numbers: &[u8]) -> String {
        let lines = numbers.iter().map(|number| Line::of(&revoked(*number)));
        let head = revoked(*numbers.last().expect("some")).position;
        let lines = lines.chain([Line::end(head, None, numbers.len())]);
        lines.map(|line| serde_json::to_string(&line).expect("JSON") + "\n").collect()
    }

    #[test]
    fn what_is_written_is_read_and_each_digest_once() {
        let read = Exported::read(&(export(&[2, 1]) + "\n" + &export(&[1, 3])));
        let expected = [1, 2, 3].map(|number| TokenDigest::from_bytes([number; 32]));
        assert_eq!(
            (read.digests.as_slice(), read.malformed.as_slice(), read.whole),
            (&expected[..], &[][..], true)
        );
    }

    #[test]
    fn a_digest_is_written_byte_by_byte() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[15], bytes[16], bytes[31]) = (0x0a, 0xbc, 0x01, 0xff);
        let digest = TokenDigest::from_bytes(bytes);
        let zeros = "0".repeat(28);
        assert_eq!(digits(digest.as_bytes()), format!("0a{zeros}bc01{zeros}ff"));
        assert_eq!(parse_digest(&digits(digest.as_bytes())), Some(digest));
    }

    #[test]
    fn what_was_cut_off_is_seen() {
        let whole = export(&[1, 2, 3]);
        let lines: Vec<&str> = whole.lines().collect();
        assert!(!Exported::read("").whole);
        assert!(!Exported::read(&lines[..3].join("\n")).whole, "the end is missing");
        assert!(!Exported::read(&lines[1..].join("\n")).whole, "the beginning is missing");
        let in_the_middle = Exported::read(&whole[..whole.len() / 2]);
        assert!(!in_the_middle.whole && in_the_middle.malformed.len() == 1);
        let odd = Exported::read(
            "{\"kind\":\"revoke\",\"seq\":1,\"nonce\":\"0\",\"digest\":\"+f\",\"key\":\"\",\"time\":null}",
        );
        assert_eq!((odd.malformed.as_slice(), odd.digests.len()), (&[1][..], 0));
    }

    #[test]
    fn only_what_is_whole_covers_something() {
        let end = |after: &str, count: usize| {
            let nonce = "f".repeat(16);
            format!("{{\"kind\":\"end\",\"seq\":3,\"nonce\":\"{nonce}\",{after}\"count\":{count}}}\n")
        };
        let after_2 = "\"after\":2,\"after_nonce\":\"000000000000000a\",";
        let read = Exported::read(&(export(&[1, 3]) + "odd\n" + &export(&[3]) + &end(after_2, 0)));
        let pieces = [(0, 3), (2, 3)].map(|(after, up_to)| Piece::new(after, up_to).expect("a piece"));
        assert_eq!((read.pieces.as_slice(), read.malformed.as_slice()), (&pieces[..], &[4][..]));
        let cut = Exported::read(&end("\"after\":0,", 1));
        assert!(!cut.whole && cut.pieces.is_empty() && cut.malformed.is_empty());
        for after in ["", "\"after\":4,", "\"after\":-1,", "\"after\":2,"] {
            let odd = Exported::read(&end(&after.replace(',', ",\"after_nonce\":null,"), 0));
            assert_eq!((odd.pieces.as_slice(), odd.malformed.as_slice()), (&[][..], &[1][..]), "{after}");
        }
    }
}
