//! Which part of the log exports have: from their last lines, each of which says what it began after and where it ended. A
//! piece that nobody exported, or that was left out, is seen by it.

use std::fmt;

use gatekey_lease::Seq;

/// What one export has: all revocations after one number, up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    after: Seq,
    up_to: Seq,
}

impl Piece {
    /// None if no log has such a piece.
    pub(super) fn new(after: i64, up_to: i64) -> Option<Self> {
        let (after, up_to) = (Seq::new(after)?, Seq::new(up_to)?);
        (after <= up_to).then_some(Self { after, up_to })
    }
}

/// What several exports have together: pieces in order, with something missing between each two.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Coverage(Vec<Piece>);

impl Coverage {
    /// They may overlap, and come in any order.
    pub(super) fn of(pieces: &[Piece]) -> Self {
        let mut pieces = pieces.to_vec();
        pieces.sort_unstable();
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match joined.last_mut().filter(|last| piece.after <= last.up_to) {
                Some(last) => last.up_to = last.up_to.max(piece.up_to),
                None => joined.push(piece),
            }
        }
        Self(joined)
    }

    /// What the first of them begins after.
    pub(super) fn after(&self) -> Option<Seq> {
        self.0.first().map(|first| first.after)
    }

    /// What is missing: between what the database has, up to `head`, and the first of them, and between them.
    pub(super) fn missing(&self, head: Seq) -> Vec<Missing> {
        let Some(first) = self.0.first() else { return Vec::new() };
        let before = (first.after > head).then_some(Missing { after: head, up_to: first.after });
        let between = self.0.iter().zip(self.0.iter().skip(1));
        let between = between.map(|(one, next)| Missing { after: one.up_to, up_to: next.after });
        before.into_iter().chain(between).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no part of the log for sure");
        }
        let pieces = self.0.iter().map(|Piece { after, up_to }| {
            if after == up_to { format!("nothing after {}", after.get()) } else { range(*after, *up_to) }
        });
        f.write_str(&pieces.collect::<Vec<_>>().join(", "))
    }
}

/// A part of the log that no export has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    after: Seq,
    up_to: Seq,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&range(self.after, self.up_to))
    }
}

fn range(after: Seq, up_to: Seq) -> String {
    format!("{} to {}", after.next().get(), up_to.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(pieces: &[(i64, i64)]) -> Coverage {
        let pieces = pieces.iter().map(|(after, up_to)| Piece::new(*after, *up_to).expect("a piece"));
        Coverage::of(&pieces.collect::<Vec<_>>())
    }

    fn missing(pieces: &[(i64, i64)], head: i64) -> Vec<String> {
        let missing = coverage(pieces).missing(Seq::new(head).expect("a number"));
        missing.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn pieces_join_in_any_order_and_overlap() {
        for (pieces, said) in [
            (&[(0, 5)][..], "1 to 5"),
            (&[(5, 9), (0, 5)], "1 to 9"),
            (&[(7, 9), (0, 5), (3, 8), (4, 4)], "1 to 9"),
            (&[(2, 5), (5, 5)], "3 to 5"),
            (&[(0, 3), (5, 5), (6, 9)], "1 to 3, nothing after 5, 7 to 9"),
            (&[], "no part of the log for sure"),
        ] {
            assert_eq!(coverage(pieces).to_string(), said);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (pieces, head, expected) in [
            (&[(0, 5), (5, 9)][..], 0, &[][..]),
            (&[(0, 5), (6, 9)], 0, &["6 to 6"]),
            (&[(6, 9), (1, 3), (12, 12)], 0, &["1 to 1", "4 to 6", "10 to 12"]),
            (&[(1, 5)], 1, &[]),
            (&[(1, 5)], 0, &["1 to 1"]),
            (&[(9, 9)], 3, &["4 to 9"]),
            (&[], 3, &[]),
        ] {
            assert_eq!(missing(pieces, head), expected, "{pieces:?} on {head}");
        }
    }

    #[test]
    fn a_piece_goes_forwards() {
        assert!(Piece::new(3, 3).is_some());
        for (after, up_to) in [(4, 3), (-1, 3), (-2, -1)] {
            assert_eq!(Piece::new(after, up_to), None);
        }
    }
}
