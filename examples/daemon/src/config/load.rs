//! A configuration that can be used: the options of the process, and its endpoints.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use pilot_webhook_std::Hub;

use super::document::{self, Document};
use super::keys::{self, Keys};
use super::problem::Problems;
use super::table::{Given, Setting, Settings, Table};
use super::{process, rules, text};
use crate::Failure;
use crate::args::{self, Args, Command, Run};
use crate::delivery::{EndpointArgs, PILOT};
use crate::webhook_url;

/// Where a configuration comes from: a file, and the command line, which overrides it.
#[derive(Clone)]
pub(crate) struct Source {
    path: PathBuf,
    argv: Vec<OsString>,
}

/// A configuration without a mistake.
pub(crate) struct Config {
    pub(crate) command: Command,
    pub(crate) endpoints: Vec<Declared>,
    /// What is set for the process, and not for an endpoint.
    pub(crate) process: Settings,
    /// What is not wrong, and hardly meant.
    pub(crate) warnings: Vec<&'static str>,
}

/// An endpoint as it is to be.
pub(crate) struct Declared {
    pub(crate) args: Arc<EndpointArgs>,
    /// Empty where there is none yet.
    pub(crate) url: String,
    pub(super) settings: Settings,
}

impl Declared {
    /// The only endpoint, where there is no file. Reads the file with its URL, which may be a pipe.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub(crate) fn of_options(run: &Run) -> Result<Self, Failure> {
        let url = webhook_url::initial(run, run.delivery.endpoint.policy())?;
        let args = EndpointArgs::pilot(run.delivery.clone()).into();
        Ok(Self { args, url, settings: Settings::new() })
    }

    /// Whether sources that wait do so for the endpoint: of several, only for those of which it was said.
    pub(crate) fn waits(&self, has_several: bool) -> bool {
        let is_said =
            || ["on_full", "block_when_full"].iter().any(|key| self.settings.contains_key(*key));
        !has_several || (self.args.delivery.blocks() && is_said())
    }
}

impl Source {
    /// The file that a command line names with --config. What else is wrong with it is not this function's business.
    pub(crate) fn named(argv: &[OsString]) -> Option<Self> {
        let matches = loose(argv)?;
        let path = matches.try_get_one::<PathBuf>("config").ok()??.clone();
        Some(Self { path, argv: argv.to_vec() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file, and checks it as a whole. Reads the files that it names, too. Within a tokio runtime.
    ///
    /// # Errors
    /// All that is wrong with it, a line each.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        self.of_text(&text::read(&self.path)?)
    }

    pub(super) fn of_text(&self, text: &str) -> Result<Config, Failure> {
        let base = self.path.parent().unwrap_or(Path::new(""));
        let mut problems = Problems::default();
        let document = document::read(text, base, &mut problems);
        let config = self.config(document, &mut problems)?;
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Failure::usage(problems.text(&self.path))),
        }
    }

    /// As [`load`](Self::load), but a pipe is refused: it has no second content.
    ///
    /// # Errors
    /// As `load`.
    pub(crate) fn load_again(&self) -> Result<Config, Failure> {
        match self.path.metadata() {
            Ok(found) if !found.is_file() => {
                Err(Failure::usage(format!("{}: not a regular file", self.path.display())))
            }
            _ => self.load(),
        }
    }

    /// Fails for what is wrong with the command line.
    fn config(
        &self,
        document: Document,
        problems: &mut Problems,
    ) -> Result<Option<Config>, Failure> {
        let Document { top, endpoints: tables } = document;
        let given =
            loose(&self.argv).map(|matches| keys::of_command_line(&matches)).unwrap_or_default();
        let mut top = Table { settings: given, is_cut: top.is_cut, ..Table::default() }.over(top);
        top.line = 1;
        let is_good = Keys::top().parse(&mut top, problems).is_some();
        let mut of_endpoint = Endpoints::new(&top, tables.len());
        let has_tables = !tables.is_empty();
        let tables = tables.into_iter();
        let mut endpoints: Vec<_> =
            tables.filter_map(|table| of_endpoint.parse(table, problems)).collect();
        if !is_good {
            return Ok(None);
        }
        let of_file = top.settings.iter().filter(|(_, setting)| setting.line.is_some());
        let argv = self.argv.iter().cloned().chain(keys::argv(of_file));
        let args = Args::try_parse_from(argv).map_err(|error| args::one_line(&error))?;
        let Some(run) = args.command.run() else { return Ok(None) };
        let has_pilot = endpoints.iter().any(|it| it.args.name == PILOT);
        if !has_pilot && (!has_tables || webhook_url::is_given(run)) {
            endpoints.extend(of_endpoint.parse(named(PILOT), problems));
        }
        let endpoints = rules::check(run, &top, endpoints, problems);
        process::check(run, &top, &endpoints, problems);
        let warnings = process::warnings(run);
        let (shared, mut process) = (Keys::shared(), top.settings);
        process.retain(|key, _| shared.find(key).is_none());
        Ok(Some(Config { command: args.command, endpoints, process, warnings }))
    }
}

/// What a command line has of the options of `run`, be it wrong or incomplete.
fn loose(argv: &[OsString]) -> Option<clap::ArgMatches> {
    let command = Args::command().ignore_errors(true);
    command.try_get_matches_from(argv).ok()?.remove_subcommand().map(|(_, matches)| matches)
}

/// A table `[[endpoint]]`, as its options are.
pub(super) struct Parsed {
    pub(super) args: EndpointArgs,
    /// With the defaults of the top.
    pub(super) table: Table,
}

/// The tables of endpoints, each with the defaults that the top has for it.
struct Endpoints {
    keys: Keys,
    defaults: Table,
    /// The queue's of one, where there are many.
    capacity: u32,
}

impl Endpoints {
    fn new(top: &Table, count: usize) -> Self {
        let settings = Keys::shared().of(&top.settings);
        let defaults = Table { settings, ..top.clone() };
        Self { keys: Keys::endpoint(), defaults, capacity: Hub::queue_capacity(count) }
    }

    /// `None`: it has no options that anything could be said of.
    fn parse(&mut self, table: Table, problems: &mut Problems) -> Option<Parsed> {
        let mut table = table.over(self.defaults.clone());
        rules::files(&self.keys, &mut table, problems);
        let mut matches = self.keys.parse(&mut table, problems);
        if matches.is_none() {
            // There is no name, which is noted; whatever else is wrong is, too.
            table.settings.extend(named(&format!("unnamed-{}", table.line)).settings);
            matches = self.keys.parse(&mut table, problems);
        }
        let mut args = EndpointArgs::from_arg_matches(&matches?).ok()?;
        // No setting, so that a reload with more endpoints leaves those alone that are there.
        if !table.settings.contains_key("queue_capacity") {
            let delivery = &mut args.delivery;
            let in_flight = u32::from(delivery.batch) * u32::from(delivery.max_in_flight);
            let least = in_flight.saturating_mul(2).max(self.capacity);
            delivery.queue_capacity = delivery.queue_capacity.min(least);
        }
        Some(Parsed { args, table })
    }
}

/// A table that is not in the file, and has a name alone.
fn named(name: &str) -> Table {
    let given = Given::Values(vec![name.into()]);
    let name = ("name".to_owned(), Setting { line: None, given });
    Table { line: 1, settings: Settings::from([name]), ..Table::default() }
}
