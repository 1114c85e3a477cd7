//! From the text of a configuration to the keys that its tables set.

use std::collections::BTreeSet;
use std::iter::once;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Keys, given};
use super::problem::Problems;
use super::table::{Setting, Settings, Table};
use super::text::Lines;

/// The name of the tables of endpoints.
const ENDPOINT: &str = "endpoint";

/// What a file sets.
pub(super) struct Document {
    pub(super) top: Table,
    pub(super) endpoints: Vec<Table>,
}

impl Document {
    /// Notes what lines that are no TOML would have set: the key that such a line begins with, or nobody knows what.
    fn note(&mut self, bad_lines: &BTreeSet<usize>, text: &str, is_key: impl Fn(&str) -> bool) {
        let mut tables: Vec<_> = once(&mut self.top).chain(&mut self.endpoints).collect();
        tables.sort_by_key(|table| table.line);
        for (number, line) in (1..).zip(text.lines()).filter(|(line, _)| bad_lines.contains(line)) {
            let ends = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
            let word = line.trim_start().split(ends).next().unwrap_or_default();
            let behind = tables.partition_point(|table| table.line <= number);
            match behind.checked_sub(1).and_then(|at| tables.get_mut(at)) {
                Some(table) if is_key(word) && line.contains('=') => {
                    table.broken.insert(word.to_owned());
                }
                Some(table) => table.is_cut = true,
                None => {}
            }
        }
    }
}

/// Which keys a table may have, and which only the other kind has.
struct Level<'a> {
    keys: Keys,
    others: Keys,
    elsewhere: &'a str,
}

/// Reads a text; `base` is the directory that relative paths begin at. All that is wrong is noted.
pub(super) fn read(text: &str, base: &Path, problems: &mut Problems) -> Document {
    let lines = Lines::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| lines.number(span.start));
        // What follows in a line that cannot be read is not worth reading.
        if !problems.has_line(line) {
            problems.add(line, "", error.message());
        }
    }
    let bad_lines = problems.lines();
    let mut reader = Reader { lines, bad_lines, base, problems };
    let mut top = Level {
        keys: Keys::top(),
        others: Keys::endpoint(),
        elsewhere: "it goes into an [[endpoint]]",
    };
    let mut table = Level {
        keys: Keys::endpoint(),
        others: Keys::top(),
        elsewhere: "it goes to the top of the file, before the first [[endpoint]]",
    };
    let mut document = Document { top: Table::new(1, Settings::new()), endpoints: Vec::new() };
    for (key, value) in root.get_ref() {
        if key.get_ref() == ENDPOINT {
            document.endpoints = reader.endpoints(&mut table, reader.line(key), value);
        } else {
            reader.key(&mut top, key, value, &mut document.top);
        }
    }
    let is_key = |word: &str| [&top.keys, &table.keys].iter().any(|keys| keys.find(word).is_some());
    document.note(&reader.bad_lines, text, is_key);
    document
}

struct Reader<'a> {
    lines: Lines,
    /// Those that are no TOML.
    bad_lines: BTreeSet<usize>,
    base: &'a Path,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn line<T>(&self, place: &Spanned<T>) -> usize {
        self.lines.number(place.span().start)
    }

    fn endpoints(
        &mut self,
        level: &mut Level<'_>,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Vec<Table> {
        let list = match value.get_ref() {
            DeValue::Array(list) => list,
            DeValue::Table(_) => {
                self.problems.add(
                    line,
                    ENDPOINT,
                    "there may be several: write [[endpoint]], with two brackets",
                );
                return Vec::new();
            }
            _ => {
                self.problems.add(
                    line,
                    ENDPOINT,
                    "it is a table: write [[endpoint]], and its keys below",
                );
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for value in list.iter() {
            let line = self.line(value);
            let DeValue::Table(table) = value.get_ref() else {
                self.problems.add(
                    line,
                    ENDPOINT,
                    "it is a table: write [[endpoint]], and its keys below",
                );
                continue;
            };
            let mut of_endpoint = Table::new(line, Settings::new());
            for (key, value) in table {
                self.key(level, key, value, &mut of_endpoint);
            }
            tables.push(of_endpoint);
        }
        tables
    }

    fn key(
        &mut self,
        level: &mut Level<'_>,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
        table: &mut Table,
    ) {
        let (line, name) = (self.line(key), key.get_ref().as_ref());
        if self.bad_lines.contains(&line) {
            return;
        }
        let Some(arg) = level.keys.find(name) else {
            let what = if level.others.find(name).is_some() {
                format!("not here; {}", level.elsewhere)
            } else if name.eq_ignore_ascii_case("endpoints") {
                "there is no such key; did you mean [[endpoint]]?".to_owned()
            } else {
                match level.keys.nearest(name) {
                    Some(near) => format!("there is no such key; did you mean {near}?"),
                    None => "there is no such key (docs/config.md has all)".to_owned(),
                }
            };
            return self.problems.add(line, name, what);
        };
        match given(arg, value.get_ref(), self.base) {
            Ok(given) => {
                table.settings.insert(name.to_owned(), Setting { line: Some(line), given });
            }
            Err(what) => {
                table.broken.insert(name.to_owned());
                self.problems.add(line, name, what);
            }
        }
    }
}
