//! The keys of a table are the options of a command: their names, types and rules stand in its definition alone.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, parser::ValueSource};
use toml::de::DeValue;

use super::problem::{Problems, shown};
use super::table::{Given, Setting, Settings, Table};
use crate::args::{Run, plain};
use crate::delivery::{Delivery, EndpointArgs};

/// The key that no file has: it names the file.
const CONFIG: &str = "config";
/// What stands for something other than a path where a path is expected.
const NO_PATHS: [&str; 2] = ["-", "default"];

/// The keys of one kind of table.
pub(super) struct Keys(Command);

impl Keys {
    /// Those at the top.
    pub(super) fn top() -> Self {
        Self::options::<Run>()
    }

    /// Those of `[[endpoint]]`.
    pub(super) fn endpoint() -> Self {
        Self::options::<EndpointArgs>()
    }

    /// Those that are of `[[endpoint]]`, and at the top are the defaults of all endpoints.
    pub(super) fn shared() -> Self {
        Self::options::<Delivery>()
    }

    /// Of these settings, those that are such keys.
    pub(super) fn of(&self, settings: &Settings) -> Settings {
        let of = settings.iter().filter(|(key, _)| self.find(key).is_some());
        of.map(|(key, setting)| (key.clone(), setting.clone())).collect()
    }

    fn options<T: Args>() -> Self {
        let command = Command::new("table").no_binary_name(true);
        let mut command = T::augment_args(command.disable_help_flag(true));
        command.build();
        Self(command)
    }

    /// All options that a file may have as keys.
    pub(super) fn args(&self) -> impl Iterator<Item = &Arg> {
        self.0.get_arguments().filter(|arg| arg.get_id() != CONFIG)
    }

    pub(super) fn find(&self, key: &str) -> Option<&Arg> {
        self.args().find(|arg| arg.get_id() == key)
    }

    /// The key that was probably meant.
    pub(super) fn nearest(&mut self, key: &str) -> Option<String> {
        let key = key.replace('-', "_").to_lowercase();
        if self.find(&key).is_some() {
            return Some(key);
        }
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let error =
            self.0.try_get_matches_from_mut([format!("--{}", key.replace('_', "-"))]).err()?;
        let near = text(&error, ContextKind::SuggestedArg)?;
        let near = near.trim_start_matches('-').replace('-', "_");
        self.find(&near).map(|arg| arg.get_id().to_string())
    }

    /// Parses a table as options. Every problem is noted once; the settings with one are broken then.
    pub(super) fn parse(
        &mut self,
        table: &mut Table,
        problems: &mut Problems,
    ) -> Option<ArgMatches> {
        if let Ok(matches) = self.matches(&table.settings) {
            return Some(matches);
        }
        table.keep(|key, setting| self.has_good_value(key, setting, problems));
        loop {
            let error = match self.matches(&table.settings) {
                Ok(matches) => return Some(matches),
                Err(error) => error,
            };
            let of_error = self.keys(&error, ContextKind::InvalidArg);
            let prior = self.keys(&error, ContextKind::PriorArg);
            let losers = match (error.kind(), of_error.first(), prior.first()) {
                (ErrorKind::ArgumentConflict, Some(one), Some(other)) => {
                    vec![conflict(&table.settings, one, other, problems)]
                }
                (ErrorKind::MissingRequiredArgument, ..) => {
                    for key in self.always().iter().filter(|key| of_error.contains(key)) {
                        if table.lacks(key) {
                            problems.add(table.line, key, "it is missing");
                        }
                    }
                    self.lacking(table, &of_error, problems)
                }
                _ => {
                    problems.add(table.line, "", first_line(&error));
                    return None;
                }
            };
            if losers.is_empty() {
                return None;
            }
            table.keep(|key, _| !losers.iter().any(|loser| loser == key));
        }
    }

    fn matches(&mut self, settings: &Settings) -> Result<ArgMatches, clap::Error> {
        self.0.try_get_matches_from_mut(argv(settings.iter()))
    }

    /// Whether an option can have these values.
    fn has_good_value(&mut self, key: &str, setting: &Setting, problems: &mut Problems) -> bool {
        let Err(error) = self.0.try_get_matches_from_mut(argv([(key, setting)])) else {
            return true;
        };
        if matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict)
        {
            return true;
        }
        if let Some(line) = setting.line {
            problems.add(line, key, bad_value(&error));
        }
        false
    }

    /// The keys that no table may lack.
    fn always(&mut self) -> Vec<String> {
        self.missing(&Settings::new())
    }

    /// The settings that need one of these keys, each of which is noted where the table has no such key.
    fn lacking(
        &mut self,
        table: &Table,
        missing: &[String],
        problems: &mut Problems,
    ) -> Vec<String> {
        let always = self.always();
        let mut lacking = Vec::new();
        for (key, setting) in &table.settings {
            let alone = Settings::from([(key.clone(), setting.clone())]);
            let needs = self.missing(&alone);
            let needs = needs.iter().find(|key| missing.contains(key) && !always.contains(key));
            if let Some(needs) = needs {
                if let Some(line) = setting.line.filter(|_| table.lacks(needs)) {
                    problems.add(line, key, format!("it needs {needs}, which is missing"));
                }
                lacking.push(key.clone());
            }
        }
        lacking
    }

    /// The keys that these settings need beside them.
    fn missing(&mut self, settings: &Settings) -> Vec<String> {
        match self.matches(settings) {
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
                self.keys(&error, ContextKind::InvalidArg)
            }
            _ => Vec::new(),
        }
    }

    /// The keys that an error speaks of.
    fn keys(&self, error: &clap::Error, kind: ContextKind) -> Vec<String> {
        let names = match error.get(kind) {
            Some(ContextValue::String(name)) => std::slice::from_ref(name),
            Some(ContextValue::Strings(names)) => names,
            _ => &[],
        };
        let key = |name: &String| {
            let arg = self.0.get_arguments().find(|arg| arg.to_string() == *name)?;
            Some(arg.get_id().to_string())
        };
        names.iter().filter_map(key).collect()
    }
}

/// The setting of a key by a value, for this option; `base` is the directory that relative paths begin at.
///
/// # Errors
/// What is expected instead.
pub(super) fn given(arg: &Arg, value: &DeValue<'_>, base: &Path) -> Result<Given, String> {
    if !arg.get_action().takes_values() {
        return value
            .as_bool()
            .map(Given::Switch)
            .ok_or_else(|| "expected true or false".to_owned());
    }
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let scalar = |value: &DeValue<'_>| match value {
        DeValue::String(text) if is_path && !NO_PATHS.contains(&&**text) => {
            Ok(base.join(&**text).into_os_string())
        }
        DeValue::String(text) => Ok(OsString::from(&**text)),
        DeValue::Integer(number) if number.radix() == 10 => {
            Ok(OsString::from(number.as_str().trim_start_matches('+')))
        }
        other => Err(format!("expected text or a whole number, and found {}", kind(other))),
    };
    let DeValue::Array(list) = value else { return Ok(Given::Values(vec![scalar(value)?])) };
    if list.is_empty() {
        return Err("the list is empty; leave the key out for its default".to_owned());
    }
    let values: Vec<_> =
        list.iter().map(|value| scalar(value.get_ref())).collect::<Result<_, _>>()?;
    Ok(Given::Values(match arg.get_action() {
        ArgAction::Append => values,
        _ => vec![values.join(OsStr::new(","))],
    }))
}

/// The settings that a command line makes.
pub(super) fn of_command_line(matches: &ArgMatches) -> Settings {
    let keys = Keys::top();
    let setting = |arg: &Arg| {
        let key = arg.get_id().as_str();
        if matches.value_source(key) != Some(ValueSource::CommandLine) {
            return None;
        }
        let given = match matches.get_raw(key) {
            Some(values) if arg.get_action().takes_values() => {
                Given::Values(values.map(OsStr::to_owned).collect())
            }
            _ => Given::Switch(true),
        };
        Some((key.to_owned(), Setting { line: None, given }))
    };
    keys.args().filter_map(setting).collect()
}

/// The options that say the same.
pub(super) fn argv<'a>(
    settings: impl IntoIterator<Item = (impl AsRef<str>, &'a Setting)>,
) -> Vec<OsString> {
    let mut argv = Vec::new();
    for (key, setting) in settings {
        let option = format!("--{}", key.as_ref().replace('_', "-"));
        match &setting.given {
            Given::Switch(true) => argv.push(option.into()),
            Given::Switch(false) => {}
            Given::Values(values) => argv.extend(values.iter().map(|value| {
                let mut option = OsString::from(format!("{option}="));
                option.push(value);
                option
            })),
        }
    }
    argv
}

/// Which of two keys that exclude each other goes. What is on the command line overrides the file, without a word.
fn conflict(settings: &Settings, one: &str, other: &str, problems: &mut Problems) -> String {
    let line = |key: &str| settings.get(key).and_then(|setting| setting.line);
    match (line(one), line(other)) {
        (Some(first), Some(second)) => {
            let (first, second, earlier, later) = if first < second {
                (first, second, one, other)
            } else {
                (second, first, other, one)
            };
            problems.add(second, later, format!("it cannot be used with {earlier} (line {first})"));
            later.to_owned()
        }
        (Some(_), None) => one.to_owned(),
        (None, _) => other.to_owned(),
    }
}

/// What is wrong with a value.
fn bad_value(error: &clap::Error) -> String {
    let value =
        text(error, ContextKind::InvalidValue).map(|value| shown(&value)).unwrap_or_default();
    if let Some(ContextValue::Strings(known)) = error.get(ContextKind::ValidValue) {
        return format!("{value:?} is none of {}", known.join(", "));
    }
    match error.source() {
        Some(source) => format!("{value:?}: {}", plain(&source.to_string())),
        None => first_line(error),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// What a value is.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number that is not decimal",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
