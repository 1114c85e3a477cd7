//! The options of `run` for what an endpoint asks for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use log::warn;
use pilot_webhook_std::{HeaderError, RequestHeaders};

use crate::Failure;

#[derive(clap::Args)]
pub(crate) struct Asks {
    /// Add a header to every request, as `Name: value`. May be given more than once.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Add the headers in this file, one a line, so that they are not on the command line, which everybody can read.
    #[arg(long, value_name = "FILE")]
    header_file: Option<PathBuf>,
    /// Send the token in this file as `Authorization: Bearer` (white space around it is ignored).
    #[arg(long, value_name = "FILE", conflicts_with = "basic_file")]
    bearer_file: Option<PathBuf>,
    /// Send the `user:password` in this file as `Authorization: Basic` (white space around it is ignored).
    #[arg(long, value_name = "FILE")]
    basic_file: Option<PathBuf>,
}

impl Asks {
    /// Whether some of the headers are in files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = [&self.header_file, &self.bearer_file, &self.basic_file];
        files.into_iter().flatten().cloned().collect()
    }

    /// The headers. Reads files, which may be pipes.
    ///
    /// # Errors
    /// When a file cannot be read, or a header cannot be sent. What is in a file is not shown.
    pub(crate) fn headers(&self) -> Result<RequestHeaders, Failure> {
        let mut headers = RequestHeaders::new();
        for header in &self.header {
            // Not the value, which may be a secret all the same.
            let name = header.split_once(':').map_or("no colon", |(name, _)| name);
            add(&mut headers, header).map_err(|what| usage("--header", name, &what))?;
        }
        if let Some(path) = &self.header_file {
            for (number, line) in (1..).zip(text(path)?.lines()) {
                let line = line.trim();
                if !line.is_empty() {
                    add(&mut headers, line).map_err(|what| {
                        usage(&path.display().to_string(), &format!("line {number}"), &what)
                    })?;
                }
            }
        }
        let fail = |path: &Path, error: HeaderError| {
            let what = match error {
                HeaderError::Value => "these are no credentials that can be sent".to_owned(),
                error => error.to_string(),
            };
            Failure::usage(format!("{}: {what}", path.display()))
        };
        if let Some(path) = &self.bearer_file {
            headers.bearer(text(path)?.trim()).map_err(|error| fail(path, error))?;
        }
        if let Some(path) = &self.basic_file {
            let text = text(path)?;
            let parts = text.trim().split_once(':').ok_or(HeaderError::Value);
            let added = parts.and_then(|(user, password)| headers.basic(user, password));
            added.map_err(|error| fail(path, error))?;
        }
        Ok(headers)
    }
}

/// Adds `Name: value`.
fn add(headers: &mut RequestHeaders, header: &str) -> Result<(), String> {
    let (name, value) = header.split_once(':').ok_or("it must be as in Name: value")?;
    headers.add(name, value.trim_matches([' ', '\t'])).map_err(|error| error.to_string())
}

fn usage(source: &str, which: &str, what: &str) -> Failure {
    // One line, whatever was given.
    let which: String = which.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Failure::usage(format!("{source} ({which}): {what}"))
}

/// What is in a file for secrets.
fn text(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    if fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o077 != 0)
    {
        warn!("{}: others can read it: take the permission away with chmod go-rwx", path.display());
    }
    Ok(text)
}
