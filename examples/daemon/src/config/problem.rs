//! What is wrong with a configuration: all of it at once, each with its line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// The most problems that are shown. Arbitrary: nobody mends more in one go.
const SHOWN_MAX: usize = 100;
/// The most letters of a value that are shown.
const VALUE_MAX: usize = 64;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    line: usize,
    key: String,
    what: String,
}

/// All that is wrong, in the order of the lines, each thing once.
#[derive(Debug, Default)]
pub(super) struct Problems(BTreeSet<Problem>);

impl Problems {
    /// Notes one; `what` says what is wrong and what to do.
    pub(super) fn add(&mut self, line: usize, key: &str, what: impl Into<String>) {
        self.0.insert(Problem { line, key: shown(key), what: one_line(&what.into()) });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is wrong in this line.
    pub(super) fn has_line(&self, line: usize) -> bool {
        let before = Problem { line, key: String::new(), what: String::new() };
        self.0.range(before..).next().is_some_and(|problem| problem.line == line)
    }

    /// Whether something is wrong with this key.
    pub(super) fn has(&self, line: usize, key: &str) -> bool {
        self.0.iter().any(|problem| problem.line == line && problem.key == key)
    }

    /// The lines in which something is wrong.
    pub(super) fn lines(&self) -> BTreeSet<usize> {
        self.0.iter().map(|problem| problem.line).collect()
    }

    /// `FILE:LINE: key: what`, a line each, and how many there are.
    pub(super) fn text(&self, path: &Path) -> String {
        let (count, path) = (self.0.len(), path.display());
        let mut text = String::new();
        for Problem { line, key, what } in self.0.iter().take(SHOWN_MAX) {
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            let _ = writeln!(text, "{path}:{line}: {key}{what}");
        }
        if count > SHOWN_MAX {
            let _ = writeln!(text, "{path}: {} more are not shown", count - SHOWN_MAX);
        }
        let errors = if count == 1 { "error" } else { "errors" };
        let _ = write!(text, "{path}: {count} {errors}; nothing of it is applied");
        text
    }
}

/// A key or a value in a message: in one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().filter(|letter| !letter.is_control()).take(VALUE_MAX).collect();
    if shown.len() < text.len() && text.chars().count() > VALUE_MAX {
        shown.push_str("...");
    }
    shown
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_among_others() {
        let mut problems = Problems::default();
        for line in [3, 5] {
            problems.add(line, "key", "what");
        }
        let found = (1..8).filter(|&line| problems.has_line(line));
        assert_eq!(found.collect::<Vec<_>>(), [3, 5]);
    }
}
