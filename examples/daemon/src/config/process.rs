//! What must hold for the process as a whole: its addresses, and the places of its files. Nothing is made or bound here.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use pilot_webhook_core::Policy;
use pilot_webhook_std::{Destination, load_persisted_url, pilot_home};

use super::load::Declared;
use super::problem::Problems;
use super::table::{Table, line_of};
use crate::admin;
use crate::args::Run;
use crate::ingress::{COMES_BACK, comes_back};
use crate::stats_file;

/// Checks what the top of the file, or the command line, says of the process.
pub(super) fn check(run: &Run, top: &Table, endpoints: &[Declared], problems: &mut Problems) {
    let mut wrong = |key: &str, what: String| problems.add(top.line_of(key), key, what);
    if let (Some(listen), Some(admin)) = (run.listen, run.admin.admin)
        && is_same(listen, admin)
    {
        let line = top.line_of("listen");
        wrong("admin", format!("it is the address of listen (line {line}); give it another port"));
    }
    if let Err(failure) = admin::check(&run.admin, run.home.as_deref(), run.socket.as_deref()) {
        let key = if run.admin.admin_token_file.is_some() { "admin_token_file" } else { "admin" };
        wrong(key, failure.message);
    }
    let is_free = |path: &Path| stats_file::check(path).map(drop);
    let anything = |_: &Path| Ok(());
    type Check<'a> = &'a dyn Fn(&Path) -> io::Result<()>;
    let places: [(_, _, Check<'_>); 3] = [
        ("outbox", &run.store.outbox, &is_file_or_none),
        ("stats_file", &run.stats_file, &is_free),
        ("socket", &run.socket, &anything),
    ];
    for (key, path, may_be) in places {
        let Some(path) = path else { continue };
        if let Err(error) = may_be(path).and_then(|()| has_directory(path)) {
            wrong(key, format!("{}: {error}", path.display()));
        }
    }
    if let Some(path) = run.events.as_deref().filter(|path| !run.follow && *path != Path::new("-"))
        && let Err(error) = path.metadata()
    {
        wrong("events", format!("{}: {error}", path.display()));
    }
    if run.has_source() && run.socket.is_none() && endpoints.iter().all(|it| it.url.is_empty()) {
        let home = run.home.clone().or_else(|| pilot_home().ok());
        let policy = Policy::default();
        if home.is_none_or(|home| !matches!(load_persisted_url(&home, policy), Ok(Some(_)))) {
            wrong(
                "",
                "there is no webhook for the events: give an [[endpoint]], or webhook".to_owned(),
            );
        }
    }
    for endpoint in endpoints {
        let policy = endpoint.args.delivery.endpoint.policy();
        let target = Destination::parse(&endpoint.url, policy).ok();
        if comes_back(target.as_ref(), run.listen) {
            let (line, key) = place_of_url(endpoint, top);
            problems.add(line, key, COMES_BACK.replace("--listen", "listen"));
        }
    }
}

/// What is not wrong, and hardly meant.
pub(super) fn warnings(run: &Run) -> Vec<&'static str> {
    if run.has_source() { Vec::new() } else { vec![NO_SOURCE] }
}

/// Said of a daemon that will never have an event.
pub(crate) const NO_SOURCE: &str = "nothing brings events: there is no listen, events or from";

/// Whether only one of two listeners can have its address.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_any || one.ip() == other.ip())
}

/// Whether a file stands there, or nothing.
fn is_file_or_none(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(io::Error::other("not a regular file")),
        _ => Ok(()),
    }
}

/// Whether the directory is there that a file is to be in.
fn has_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.metadata()?.is_dir() => {
            Err(io::ErrorKind::NotADirectory.into())
        }
        _ => Ok(()),
    }
}

/// Where the URL of an endpoint is given.
fn place_of_url(endpoint: &Declared, top: &Table) -> (usize, &'static str) {
    let settings = [&endpoint.settings, &top.settings];
    let keys = ["url", "url_file", "webhook", "webhook_file"];
    let mut places = settings
        .into_iter()
        .flat_map(|of| keys.into_iter().filter_map(move |key| Some((line_of(of, key)?, key))));
    places.next().unwrap_or((1, "webhook"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_have_two_addresses() {
        let is_same =
            |one: &str, other: &str| is_same(one.parse().unwrap(), other.parse().unwrap());
        assert!(is_same("127.0.0.1:1", "127.0.0.1:1"));
        assert!(is_same("0.0.0.0:1", "127.0.0.1:1"));
        assert!(is_same("127.0.0.1:1", "[::]:1"));
        assert!(!is_same("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!is_same("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!is_same("127.0.0.1:0", "127.0.0.1:0"));
    }
}
