//! `generate`: what a package holds beside the program, made of the definition of the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_complete::aot::generate_to;

use crate::Failure;
use crate::args::Args;

/// Writes a manual page for each command.
///
/// # Errors
/// When the directory cannot be written to.
pub(crate) fn man(directory: &Path) -> Result<(), Failure> {
    written(directory, clap_mangen::generate_to(command(), directory))
}

/// Writes the completions of every shell that is known.
///
/// # Errors
/// When the directory cannot be written to.
pub(crate) fn completions(directory: &Path) -> Result<(), Failure> {
    let mut command = command();
    let name = command.get_name().to_owned();
    let shells = [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh];
    let write = |shell| generate_to(shell, &mut command, &name, directory).map(drop);
    written(directory, shells.into_iter().try_for_each(write))
}

fn command() -> Command {
    let mut command = Args::command();
    command.build();
    command
}

fn written(directory: &Path, result: io::Result<()>) -> Result<(), Failure> {
    let what = |error| Failure::runtime(format!("{}: {error}", directory.display()));
    fs::metadata(directory).map(drop).and(result).map_err(what)
}
