//! What must hold beyond the rules of the command line: names, URLs, files, and what is secret.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use pilot_webhook_std::{Destination, HttpConfig};

use super::keys::{Given, Keys, Setting, Settings, argv};
use super::load::{Declared, Parsed};
use super::of_stream;
use super::problem::Problems;
use crate::args::Run;
use crate::delivery::{EndpointArgs, PILOT};
use crate::ipc::without_credentials;
use crate::signing;
use crate::webhook_url;

/// What is each endpoint's own, and checked for each.
const OWN: [&str; 6] = ["name", "url", "url_file", "topics", "exclude", "nodes"];
/// Headers whose values are secrets.
const SECRET_HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Checks all endpoints, and adds the one that the top of the file or the command line describes, where there is one.
pub(super) fn check(
    run: &Run,
    top: &Settings,
    parsed: Vec<Parsed>,
    problems: &mut Problems,
) -> Vec<Declared> {
    unique(&parsed, problems);
    // The system's trusted roots are read once, as long as there is someone who has them.
    let _roots = HttpConfig::new().build();
    let keys = Keys::endpoint();
    let (has_tables, has_pilot) =
        (!parsed.is_empty(), parsed.iter().any(|it| it.args.name == PILOT));
    let mut endpoints = Vec::new();
    let mut seen = BTreeSet::new();
    for Parsed { line, args, settings } in parsed {
        secrets(&settings, problems);
        let url = if args.name == PILOT {
            url_of_pilot(run, top, &args, line, problems)
        } else {
            url(&args, line, &settings, problems)
        };
        let can_read = files(&keys, &settings, problems);
        if let (Some(url), true) = (url, can_read) {
            usable(&args, line, &settings, &mut seen, problems);
            endpoints.push(Declared { args: args.into(), url, settings });
        }
    }
    secrets(top, problems);
    let line = |key| line_of(top, key).unwrap_or(1);
    if let Some(Err(error)) = run.webhook_file.as_deref().map(readable) {
        problems.add(line("webhook_file"), "webhook_file", error);
    }
    let of_posts: Result<(), _> = run.listen_secret_file.iter().try_for_each(|path| {
        readable(path).map_err(|error| format!("{}: {error}", path.display()))
    });
    if let Err(error) = of_posts.and_then(|()| signing::check_of_posts(run).map(drop)) {
        problems.add(line("listen_secret_file"), "listen_secret_file", error);
    }
    let is_given = !run.webhook.is_empty() || run.webhook_file.is_some();
    if !has_pilot && (!has_tables || is_given || webhook_url::is_in_environment()) {
        let args = EndpointArgs::pilot(run.delivery.clone());
        let settings = Keys::shared().of(top);
        let url = url_of_pilot(run, top, &args, 1, problems);
        if let (Some(url), true) = (url, files(&keys, &settings, problems)) {
            usable(&args, 1, &settings, &mut seen, problems);
            endpoints.push(Declared { args: args.into(), url, settings });
        }
    }
    of_stream::check(run, top, &endpoints, problems);
    endpoints
}

fn unique(parsed: &[Parsed], problems: &mut Problems) {
    let mut names = BTreeMap::new();
    for Parsed { line, args, settings } in parsed {
        let line = line_of(settings, "name").unwrap_or(*line);
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
fn url(
    args: &EndpointArgs,
    line: usize,
    settings: &Settings,
    problems: &mut Problems,
) -> Option<String> {
    if args.url.is_none() && args.url_file.is_none() {
        problems.add(line, "url", "it needs a url, or a url_file");
        return None;
    }
    let key = if args.url.is_some() { "url" } else { "url_file" };
    let line = line_of(settings, key).unwrap_or(line);
    let url = webhook_url::given(args.url.clone(), args.url_file.as_deref());
    let checked = url.map_err(|failure| failure.message).and_then(|url| {
        let parsed = Destination::parse(&url, args.delivery.endpoint.policy());
        parsed.map(|_| url).map_err(|error| error.to_string())
    });
    checked.map_err(|what| problems.add(line, key, what)).ok()
}

/// The URL of the endpoint that is set over the socket: the first of those that `run` has.
fn url_of_pilot(
    run: &Run,
    top: &Settings,
    args: &EndpointArgs,
    line: usize,
    problems: &mut Problems,
) -> Option<String> {
    let of_top = ["webhook", "webhook_file"].into_iter().find(|key| top.contains_key(*key));
    let has_own = args.url.is_some() || args.url_file.is_some();
    let line_of_top = of_top.and_then(|key| line_of(top, key));
    if let (Some(key), Some(at), true) = (of_top, line_of_top, has_own) {
        let what = format!("{PILOT} has a URL of its own (line {line}); take one away");
        problems.add(at, key, what);
        return None;
    }
    if of_top.is_none() && has_own {
        return url(args, line, &Settings::new(), problems);
    }
    let found = webhook_url::initial(run, args.delivery.endpoint.policy());
    let at = line_of_top.unwrap_or(line);
    let found = found.map_err(|failure| failure.message).and_then(|url| {
        let parsed = Destination::parse(&url, args.delivery.endpoint.policy());
        if url.is_empty() {
            Ok(url)
        } else {
            parsed.map(|_| url).map_err(|error| error.to_string())
        }
    });
    found.map_err(|what| problems.add(at, of_top.unwrap_or_default(), what)).ok()
}

/// Whether all files of an endpoint can be read.
fn files(keys: &Keys, settings: &Settings, problems: &mut Problems) -> bool {
    let mut can_read = true;
    for (key, setting) in settings {
        let is_path = keys
            .find(key)
            .is_some_and(|arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>());
        let Given::Values(paths) = &setting.given else { continue };
        for path in paths.iter().filter(|_| is_path).map(Path::new) {
            if let Err(error) = readable(path) {
                can_read = false;
                problems.add(
                    setting.line.unwrap_or(1),
                    key,
                    format!("{}: {error}", path.display()),
                );
            }
        }
    }
    can_read
}

/// Pipes are not opened: they would be empty when it counts, and at the next reload.
fn readable(path: &Path) -> Result<(), String> {
    let found = path.metadata().map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("not a regular file".to_owned());
    }
    File::open(path).map(drop).map_err(|error| error.to_string())
}

/// Checks what the endpoint is made of, but for its URL, which says what is left to say. Once for endpoints that are made of
/// the same.
fn usable(
    args: &EndpointArgs,
    line: usize,
    settings: &Settings,
    seen: &mut BTreeSet<Vec<OsString>>,
    problems: &mut Problems,
) {
    let parts = settings.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
    if !seen.insert(argv(parts)) {
        return;
    }
    let client = args.delivery.client("", 0);
    let client = client.and_then(|client| client.check().map_err(crate::Failure::usage));
    if let Err(failure) = client {
        // Most begin with the option that they are about.
        let option = failure.message.split([' ', ':']).next().unwrap_or_default();
        let key = option.trim_start_matches('-').replace('-', "_");
        let key = if option.starts_with("--") { key.as_str() } else { "" };
        let line = line_of(settings, key).unwrap_or(line);
        problems.add(line, key, format!("{}: {}", args.name, failure.message));
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

pub(super) fn line_of(settings: &Settings, key: &str) -> Option<usize> {
    settings.get(key).and_then(|Setting { line, .. }| *line)
}
