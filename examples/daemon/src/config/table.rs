//! A table of a configuration: the keys that it sets, and those that it sets to what cannot be used.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

/// What a key is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// An option without a value.
    Switch(bool),
    /// An option with its values, one each time that it is given.
    Values(Vec<OsString>),
}

/// A key that is set.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// `None` for one of the command line.
    pub(super) line: Option<usize>,
    pub(super) given: Given,
}

/// Two settings are the same wherever they stand.
impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

/// The keys that are set.
pub(crate) type Settings = BTreeMap<String, Setting>;

/// The top of a file, or an `[[endpoint]]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// The keys that can be used.
    pub(super) settings: Settings,
    /// The keys of which it was said that they cannot be used. So nobody misses them.
    pub(super) broken: BTreeSet<String>,
    /// Whether some of its lines are no TOML, so that it may have any key.
    pub(super) is_cut: bool,
}

impl Table {
    pub(super) fn new(line: usize, settings: Settings) -> Self {
        Self { line, settings, ..Self::default() }
    }

    /// A table with these defaults for what this one does not set.
    pub(super) fn over(self, defaults: Self) -> Self {
        let Self { mut settings, mut broken, .. } = defaults;
        settings.retain(|key, _| !self.broken.contains(key));
        broken.retain(|key| !self.settings.contains_key(key));
        settings.extend(self.settings);
        broken.extend(self.broken);
        Self { settings, broken, ..self }
    }

    /// Takes out the settings that cannot be used.
    pub(super) fn keep(&mut self, mut is_good: impl FnMut(&str, &Setting) -> bool) {
        let Self { settings, broken, .. } = self;
        settings.retain(|key, setting| {
            let is_good = is_good(key, setting);
            if !is_good {
                broken.insert(key.clone());
            }
            is_good
        });
    }

    /// Whether it has no such key, as far as anybody can tell.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.is_cut && !self.settings.contains_key(key) && !self.broken.contains(key)
    }

    /// The line of a key; that of the table, where the key is not in the file.
    pub(super) fn line_of(&self, key: &str) -> usize {
        line_of(&self.settings, key).unwrap_or(self.line)
    }
}

/// The line of a key that the file sets.
pub(super) fn line_of(settings: &Settings, key: &str) -> Option<usize> {
    settings.get(key).and_then(|Setting { line, .. }| *line)
}
