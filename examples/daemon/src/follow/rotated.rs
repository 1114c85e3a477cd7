//! Which names a file gets when it is rotated, and in which order files had their turn.

use std::cmp::Reverse;
use std::mem::discriminant;
use std::time::SystemTime;

/// When a file had its turn, among those that were rotated. By the time at which it was last written, as the writer of a
/// log goes from one to the next; of files of one moment, by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) written: SystemTime,
    pub(super) name: Rank,
}

impl Turn {
    /// Whether the other one had its turn later. `is_empty`: this file has no bytes. It was not written since it was made, while
    /// its writer may have gone on with the one before it, so that names of one kind say more.
    pub(super) fn is_before(self, other: Self, is_empty: bool) -> bool {
        let is_told_by_names = is_empty
            && self.name != Rank::Unknown
            && discriminant(&self.name) == discriminant(&other.name);
        if is_told_by_names { self.name < other.name } else { self < other }
    }
}

/// What a rotated file's name says about its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It is none that a rotation gives.
    Unknown,
    /// `events.2` came before `events.1`.
    Number(Reverse<u64>),
    /// `events-20260115` came before `events-20260116`: its digits.
    Date(u64),
}

/// Longer ones are dates, or seconds since 1970.
const NUMBER_DIGITS: usize = 5;

impl Rank {
    /// Of a file that was rotated from `original`: numbered or dated, at its end or before its extension.
    pub(super) fn of(name: &str, original: &str) -> Self {
        let behind = name.strip_prefix(original);
        let before = || {
            let (stem, extension) = original.rsplit_once('.')?;
            name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')
        };
        behind
            .and_then(Self::of_suffix)
            .or_else(|| before().and_then(Self::of_suffix))
            .unwrap_or(Self::Unknown)
    }

    fn of_suffix(suffix: &str) -> Option<Self> {
        let stamp = suffix.strip_prefix(['.', '-', '_'])?;
        if !stamp.chars().all(|c| c.is_ascii_digit() || "-_.:TZ".contains(c)) {
            return None;
        }
        let digits: String = stamp.chars().filter(char::is_ascii_digit).take(19).collect();
        let number = digits.parse().ok()?;
        Some(if digits.len() <= NUMBER_DIGITS {
            Self::Number(Reverse(number))
        } else {
            Self::Date(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotations_give_are_known_and_others_are_not() {
        let number = |number| Rank::Number(Reverse(number));
        for (name, original, rank) in [
            ("events.1", "events", number(1)),
            ("events.jsonl.12", "events.jsonl", number(12)),
            ("events.2.jsonl", "events.jsonl", number(2)),
            ("events-20260115", "events", Rank::Date(20_260_115)),
            ("events-20260115.jsonl", "events.jsonl", Rank::Date(20_260_115)),
            ("events.log-2026-01-15T12:34:56Z", "events.log", Rank::Date(20_260_115_123_456)),
            ("events.log-1768480496", "events.log", Rank::Date(1_768_480_496)),
            ("events", "events", Rank::Unknown),
            ("events.1.gz", "events", Rank::Unknown),
            ("events.bak", "events", Rank::Unknown),
            ("events.", "events", Rank::Unknown),
            ("events1", "events", Rank::Unknown),
            ("other.1", "events", Rank::Unknown),
        ] {
            assert_eq!(Rank::of(name, original), rank, "{name}");
        }
    }

    #[test]
    fn the_later_one_is_greater() {
        assert!(Rank::of("e.1", "e") > Rank::of("e.2", "e"));
        assert!(Rank::of("e-20260116", "e") > Rank::of("e-20260115", "e"));
        let (early, late) = (SystemTime::UNIX_EPOCH, SystemTime::now());
        let turn = |written, name| Turn { written, name: Rank::of(name, "e") };
        assert!(turn(late, "e.2") > turn(early, "e.1"));
        assert!(turn(late, "e.1") > turn(late, "e.2"));
    }

    #[test]
    fn an_empty_file_has_its_turn_by_its_name() {
        let (early, late) = (SystemTime::UNIX_EPOCH, SystemTime::now());
        let turn = |written, name| Turn { written, name: Rank::of(name, "e") };
        let empty = turn(early, "e.2");
        // The one before it was written after it was made.
        assert!(!empty.is_before(turn(late, "e.3"), true));
        assert!(empty.is_before(turn(late, "e.1"), true));
        assert!(empty.is_before(turn(late, "e.3"), false));
        assert!(empty.is_before(turn(late, "e-20260115"), true), "names of two kinds tell nothing");
    }
}
