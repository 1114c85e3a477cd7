//! The commands that the documentation shows are commands of this program.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::Args;

/// The commands in a text: in backquotes, or lines of their own. What shows how a command may look is none.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("pilot-webhookd "));
    let quoted = text.split('`').filter(|part| part.starts_with("pilot-webhookd "));
    let quoted = quoted.filter(|part| !part.contains('\n'));
    lines.chain(quoted).filter(|command| !command.contains(['[', '`']))
}

/// What a shell would make words of, up to a pipe or to words about it.
fn words(command: &str) -> impl Iterator<Item = &str> {
    let end = [" | ", " and the options"].iter().filter_map(|end| command.find(end)).min();
    let command = &command[..end.unwrap_or(command.len())];
    command.split_whitespace().map(|word| word.trim_matches('\''))
}

#[test]
fn every_command_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let texts = docs.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let mut count = 0;
    for path in texts.chain(["README.md", "SECURITY.md"].map(|name| root.join(name))) {
        let text = fs::read_to_string(&path).unwrap();
        // One that lists several is an overview.
        for command in commands(&text).filter(|command| !words(command).any(|it| it.contains('|')))
        {
            count += 1;
            let Err(error) = Args::try_parse_from(words(command)) else { continue };
            let is_group = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            assert!(is_group, "{}: {command}\n{error}", path.display());
        }
    }
    assert!(count > 30, "{count}");
}
