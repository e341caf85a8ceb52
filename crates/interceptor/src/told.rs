//! Texts that were told lately, so that the log has each once, however many come and whoever writes them.

use std::collections::VecDeque;
use std::time::Duration;

use gatekey_lease::Moment;

/// How many are remembered.
const REMEMBERED: usize = 16;
/// One that was told this long ago makes room for another. Until then the others are not told: no more than so many in
/// so long.
const LATELY: Duration = Duration::from_mins(1);

/// What was told, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Told(VecDeque<(Moment, Box<str>)>);

impl Told {
    /// Whether this is to be told, now.
    pub(crate) fn is_new(&mut self, now: Moment, text: &str) -> bool {
        if self.0.iter().any(|(_, told)| **told == *text) {
            return false;
        }
        if self.0.len() >= REMEMBERED {
            if self.0.front().is_some_and(|(at, _)| now.since(*at) < LATELY) {
                return false;
            }
            self.0.pop_front();
        }
        self.0.push_back((now, text.into()));
        true
    }

    /// All of it is news again.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn texts_that_alternate_are_told_once_each() {
        let mut told = Told::default();
        let new: Vec<bool> = ["a", "b", "a", "b"].into_iter().map(|text| told.is_new(at(1), text)).collect();
        assert_eq!(new, [true, true, false, false]);
        told.clear();
        assert!(told.is_new(at(1), "a"));
    }

    #[test]
    fn a_flood_of_texts_is_told_a_few_a_minute() {
        let mut told = Told::default();
        let mut count =
            |now| (0..1_000).filter(|number| told.is_new(now, &format!("{now:?} {number}"))).count();
        assert_eq!((count(at(1)), count(at(60)), count(at(61))), (16, 0, 16));
    }
}
