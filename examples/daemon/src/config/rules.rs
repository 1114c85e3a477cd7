//! What must hold beyond the rules of the command line: names, URLs, files, and what is secret.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use pilot_webhook_std::{Destination, HttpConfig};

use super::keys::{Keys, argv};
use super::load::{Declared, Parsed};
use super::of_stream;
use super::problem::Problems;
use super::table::{Given, Settings, Table, line_of};
use crate::args::Run;
use crate::delivery::{EndpointArgs, PILOT};
use crate::ipc::without_credentials;
use crate::signing;
use crate::webhook_url;
use crate::wrong::Wrong;

/// What is each endpoint's own, and checked for each.
const OWN: [&str; 6] = ["name", "url", "url_file", "topics", "exclude", "nodes"];
/// Headers whose values are secrets.
const SECRET_HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Checks all endpoints, and what the top of the file or the command line says beside them.
pub(super) fn check(
    run: &Run,
    top: &Table,
    parsed: Vec<Parsed>,
    problems: &mut Problems,
) -> Vec<Declared> {
    unique(&parsed, problems);
    // The system's trusted roots are read once, as long as there is someone who has them.
    let _roots = HttpConfig::new().build();
    let mut endpoints = Vec::new();
    let mut known = BTreeMap::new();
    for Parsed { args, table } in parsed {
        secrets(&table.settings, problems);
        usable(&args, &table, &mut known, problems);
        let url = if args.name == PILOT {
            url_of_pilot(run, top, &args, &table, problems)
        } else {
            url(&args, &table, problems)
        };
        if let Some(url) = url {
            endpoints.push(Declared { args: args.into(), url, settings: table.settings });
        }
    }
    secrets(&top.settings, problems);
    let of_posts: Result<(), _> = run.listen_secret_file.iter().try_for_each(|path| {
        readable(path).map_err(|error| format!("{}: {error}", path.display()))
    });
    if let Err(error) = of_posts.and_then(|()| signing::check_of_posts(run).map(drop)) {
        problems.add(top.line_of("listen_secret_file"), "listen_secret_file", error);
    }
    of_stream::check(run, top, &endpoints, problems);
    endpoints
}

fn unique(parsed: &[Parsed], problems: &mut Problems) {
    let mut names = BTreeMap::new();
    for Parsed { args, table } in parsed {
        let line = table.line_of("name");
        if let Some(first) = names.insert(&args.name, line) {
            problems.add(
                line,
                "name",
                format!("another endpoint is called {} (line {first})", args.name),
            );
        }
    }
}

/// The URL of an endpoint.
fn url(args: &EndpointArgs, table: &Table, problems: &mut Problems) -> Option<String> {
    let key = match (&args.url, &args.url_file) {
        (Some(_), _) => "url",
        (None, Some(_)) => "url_file",
        (None, None) => {
            if table.lacks("url") && table.lacks("url_file") {
                problems.add(table.line, "url", "it needs a url, or a url_file");
            }
            return None;
        }
    };
    let url = webhook_url::given(args.url.clone(), args.url_file.as_deref());
    let checked = url.map_err(|failure| failure.message).and_then(|url| {
        let parsed = Destination::parse(&url, args.delivery.endpoint.policy());
        parsed.map(|_| url).map_err(|error| error.to_string())
    });
    checked.map_err(|what| problems.add(table.line_of(key), key, what)).ok()
}

/// The URL of the endpoint that is set over the socket: the first of those that `run` has.
fn url_of_pilot(
    run: &Run,
    top: &Table,
    args: &EndpointArgs,
    table: &Table,
    problems: &mut Problems,
) -> Option<String> {
    let of_top = ["webhook", "webhook_file"].into_iter().find(|key| !top.lacks(key));
    let of_table = ["url", "url_file"].into_iter().find(|key| !table.lacks(key));
    let line_of_top = of_top.and_then(|key| line_of(&top.settings, key));
    match (of_top, of_table, line_of_top) {
        (Some(key), Some(other), Some(at)) => {
            let line = table.line_of(other);
            let what = format!("{PILOT} has a URL of its own (line {line}); take one away");
            problems.add(at, key, what);
            return None;
        }
        (None, Some(_), _) => return url(args, table, problems),
        // What is wrong with it is said.
        (Some(key), ..) if !top.settings.contains_key(key) => return None,
        _ => {}
    }
    let line = line_of_top.unwrap_or(table.line);
    if let Some(Err(error)) = run.webhook_file.as_deref().map(readable) {
        let path = run.webhook_file.as_deref().unwrap_or(Path::new(""));
        problems.add(line, "webhook_file", format!("{}: {error}", path.display()));
        return None;
    }
    let found = webhook_url::initial(run, args.delivery.endpoint.policy());
    let found = found.map_err(|failure| failure.message).and_then(|url| {
        let parsed = Destination::parse(&url, args.delivery.endpoint.policy());
        if url.is_empty() {
            Ok(url)
        } else {
            parsed.map(|_| url).map_err(|error| error.to_string())
        }
    });
    found.map_err(|what| problems.add(line, of_top.unwrap_or_default(), what)).ok()
}

/// Takes out the files of an endpoint that cannot be read.
pub(super) fn files(keys: &Keys, table: &mut Table, problems: &mut Problems) {
    let line = table.line;
    table.keep(|key, setting| {
        let is_path = keys
            .find(key)
            .is_some_and(|arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>());
        let Given::Values(paths) = &setting.given else { return true };
        let mut is_good = true;
        for path in paths.iter().filter(|_| is_path).map(Path::new) {
            if let Err(error) = readable(path) {
                is_good = false;
                let what = format!("{}: {error}", path.display());
                problems.add(setting.line.unwrap_or(line), key, what);
            }
        }
        is_good
    });
}

/// Pipes are not opened: they would be empty when it counts, and at the next reload.
fn readable(path: &Path) -> Result<(), String> {
    let found = path.metadata().map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("not a regular file".to_owned());
    }
    File::open(path).map(drop).map_err(|error| error.to_string())
}

/// Notes what is wrong with the options of an endpoint together. `known` is what was found of endpoints that are made of
/// the same, but for their URLs.
fn usable(
    args: &EndpointArgs,
    table: &Table,
    known: &mut BTreeMap<Vec<OsString>, Vec<Wrong>>,
    problems: &mut Problems,
) {
    let parts = table.settings.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
    let wrong = known.entry(argv(parts)).or_insert_with(|| args.delivery.wrong());
    // A secret that stands in the file is wrong enough.
    let wrong = wrong.iter().map(|it| (it, line_of(&table.settings, it.key)));
    let wrong: Vec<_> =
        wrong.filter(|(it, line)| line.is_none_or(|line| !problems.has(line, it.key))).collect();
    for (Wrong { key, what }, line) in wrong {
        match line {
            Some(line) => problems.add(line, key, what),
            // It stands on the command line, or nowhere.
            None => problems.add(table.line, key, format!("{}: {what}", args.name)),
        }
    }
}

/// Notes secrets that stand in the file, which is no place for them.
fn secrets(settings: &Settings, problems: &mut Problems) {
    for (key, setting) in settings {
        let (Some(line), Given::Values(values)) = (setting.line, &setting.given) else { continue };
        let has = |is: fn(&str) -> bool| values.iter().filter_map(|value| value.to_str()).any(is);
        let what = match key.as_str() {
            "url" | "webhook" if has(|url| without_credentials(url) != url) => {
                "there is a user name or password in it; put the user:password into a file, and write basic_file = \"FILE\""
            }
            "header" if has(is_secret_header) => {
                "its value is a secret; put the header into a file, and write header_file, bearer_file or basic_file = \"FILE\""
            }
            _ => continue,
        };
        problems.add(line, key, what);
    }
}

fn is_secret_header(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default().trim();
    SECRET_HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}
