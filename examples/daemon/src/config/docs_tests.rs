//! The tables of docs/config.md are those of the code.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use clap::{Arg, ArgAction};

use super::keys::Keys;

/// Set to anything, it has the tables written.
const VARIABLE: &str = "PILOT_WRITE_DOCS";

/// One row: the key, its value, its default, what it does.
fn row(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let names = arg.get_value_names().unwrap_or_default();
    let possible: Vec<_> =
        arg.get_possible_values().iter().map(|it| format!("`{}`", it.get_name())).collect();
    let one = match (possible.is_empty(), names.first()) {
        (false, _) if arg.get_action().takes_values() => possible.join(", "),
        (_, Some(name)) if arg.get_action().takes_values() => name.replace('|', "\\|"),
        _ => "`true`, `false`".to_owned(),
    };
    let value = match arg.get_action() {
        ArgAction::Append => format!("{one}, or a list of them"),
        _ => one,
    };
    let default: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match arg.get_action() {
        ArgAction::SetTrue => "`false`".to_owned(),
        _ if default.join(",").is_empty() => String::new(),
        _ => format!("`{}`", default.join(",")),
    };
    format!("| `{}` | {value} | {default} | {} |\n", arg.get_id(), as_keys(&help))
}

/// A help text, in which options are keys.
fn as_keys(help: &str) -> String {
    let mut text = String::new();
    let mut rest = help.replace('|', "\\|").replace('\n', " ");
    while let Some(at) = rest.find("--") {
        let is_in =
            |letter: char| letter.is_ascii_lowercase() || letter == '-' || letter.is_ascii_digit();
        let option = &rest[at + 2..];
        let end = option.find(|letter| !is_in(letter)).unwrap_or(option.len());
        let (option, behind) = option.split_at(end);
        let _ = write!(text, "{}{}", &rest[..at], option.replace('-', "_"));
        rest = behind.to_owned();
    }
    text + &rest
}

fn table(title: &str, args: impl Iterator<Item = Arg>) -> String {
    let mut text =
        format!("### {title}\n\n| key | value | default | what it does |\n|---|---|---|---|\n");
    args.filter(|arg| !arg.is_hide_set()).for_each(|arg| text.push_str(&row(&arg)));
    text
}

#[test]
fn the_documentation_has_every_key() {
    let (top, endpoint, shared) = (Keys::top(), Keys::endpoint(), Keys::shared());
    let is_shared = |arg: &&Arg| shared.find(arg.get_id().as_str()).is_some();
    let tables = [
        table("Of the process", top.args().filter(|arg| !is_shared(arg)).cloned()),
        table("Of an `[[endpoint]]` only", endpoint.args().filter(|arg| !is_shared(arg)).cloned()),
        table("Of an `[[endpoint]]`, and at the top for all of them", shared.args().cloned()),
    ];
    let tables = tables.join("\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) =
        ("<!-- The tables are made of the code. -->\n\n", "\n<!-- The end of the tables. -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (found, after) = rest.split_once(end).unwrap();
    if env::var_os(VARIABLE).is_some() {
        fs::write(&path, format!("{before}{begin}{tables}{end}{after}")).unwrap();
    } else if cfg!(all(feature = "nats", feature = "proxy")) {
        assert_eq!(
            found, tables,
            "{VARIABLE}=1 cargo test -p pilot-webhookd --lib documentation writes it"
        );
    }
}

/// The configurations of the documentation, and that of the package.
#[test]
fn configurations_that_are_shown_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, count) in [("README.md", 1), ("docs/config.md", 2)] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let blocks: Vec<_> = blocks.filter(|block| block.contains("[[endpoint]]")).collect();
        assert_eq!(blocks.len(), count, "{file}");
        for block in blocks {
            super::tests::loads_with_its_files(block);
        }
    }
    let package = root.join("examples/daemon/packaging/pilot-webhookd.toml");
    super::tests::loads_with_its_files(&fs::read_to_string(package).unwrap());
}
