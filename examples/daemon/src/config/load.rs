//! A configuration that can be used: the options of the process, and its endpoints.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use pilot_webhook_std::Hub;

use super::document::{self, Document, Table};
use super::keys::{self, Given, Keys, Setting, Settings};
use super::problem::Problems;
use super::{rules, text};
use crate::Failure;
use crate::args::{self, Args, Command, Run};
use crate::delivery::EndpointArgs;
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
        let Document { top: mut of_file, endpoints: tables } = document;
        let given =
            loose(&self.argv).map(|matches| keys::of_command_line(&matches)).unwrap_or_default();
        of_file.retain(|key, _| !given.contains_key(key));
        let mut top = of_file;
        top.extend(given.clone());
        let is_good = Keys::top().parse(&mut top, 1, problems).is_some();
        let endpoints = endpoints(tables, &top, problems);
        if !is_good {
            return Ok(None);
        }
        let of_file = top.iter().filter(|(_, setting)| setting.line.is_some());
        let argv = self.argv.iter().cloned().chain(keys::argv(of_file));
        let args = Args::try_parse_from(argv).map_err(|error| args::one_line(&error))?;
        let Some(run) = args.command.run() else { return Ok(None) };
        let endpoints = rules::check(run, &top, endpoints, problems);
        let shared = Keys::shared();
        top.retain(|key, _| shared.find(key).is_none());
        Ok(Some(Config { command: args.command, endpoints, process: top }))
    }
}

/// What a command line has of the options of `run`, be it wrong or incomplete.
fn loose(argv: &[OsString]) -> Option<clap::ArgMatches> {
    let command = Args::command().ignore_errors(true);
    command.try_get_matches_from(argv).ok()?.remove_subcommand().map(|(_, matches)| matches)
}

/// A table `[[endpoint]]`, as its options are.
pub(super) struct Parsed {
    pub(super) line: usize,
    pub(super) args: EndpointArgs,
    /// With the defaults of the top.
    pub(super) settings: Settings,
}

/// Parses the tables, each with the defaults that the top has for it.
fn endpoints(tables: Vec<Table>, top: &Settings, problems: &mut Problems) -> Vec<Parsed> {
    let mut keys = Keys::endpoint();
    let defaults = Keys::shared().of(top);
    let capacity = Hub::queue_capacity(tables.len());
    let mut endpoints = Vec::new();
    for Table { line, settings } in tables {
        let mut effective = defaults.clone();
        effective.extend(settings);
        let mut matches = keys.parse(&mut effective, line, problems);
        if matches.is_none() {
            // There is no name, which is noted; whatever else is wrong is, too.
            let given = Given::Values(vec![format!("unnamed-{line}").into()]);
            effective.insert("name".to_owned(), Setting { line: None, given });
            matches = keys.parse(&mut effective, line, problems);
        }
        if let Some(matches) = matches
            && let Ok(mut args) = EndpointArgs::from_arg_matches(&matches)
        {
            // No setting, so that a reload with more endpoints leaves those alone that are there.
            if !effective.contains_key("queue_capacity") {
                let delivery = &mut args.delivery;
                let in_flight = u32::from(delivery.batch) * u32::from(delivery.max_in_flight);
                let least = in_flight.saturating_mul(2).max(capacity);
                delivery.queue_capacity = delivery.queue_capacity.min(least);
            }
            endpoints.push(Parsed { line, args, settings: effective });
        }
    }
    endpoints
}
