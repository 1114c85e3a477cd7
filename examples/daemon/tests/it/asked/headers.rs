//! Headers and credentials.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::receiver::{Receiver, Request};
use crate::support;

/// One event.
const EVENT: &str = "{\"topic\":\"a\"}\n";

/// A file that only this user can read.
fn private(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn headers_are_sent_with_every_request_and_shown_nowhere() {
    let receiver = Receiver::start(|n| if n == 0 { 500 } else { 200 });
    let directory = tempfile::tempdir().unwrap();
    let events = private(directory.path(), "events", EVENT);
    let file = private(directory.path(), "headers", "X-Key: hush1\n\n  X-Other:hush2\r\n");
    let token = private(directory.path(), "token", "hush3\n");
    let arguments = ["--events", &events, "--header", "X-Given: hush 4", "--header-file", &file];
    let mut command = support::daemon(&receiver.url());
    command.env("RUST_LOG", "trace").args(arguments);
    let (stats, output) =
        support::run(command.args(["--bearer-file", &token, "--retry-backoff", "1ms"]));
    assert_eq!(stats["delivered"], 1);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.all("X-Key"), ["hush1"]);
        assert_eq!(request.all("X-Other"), ["hush2"]);
        assert_eq!(request.all("X-Given"), ["hush 4"]);
        assert_eq!(request.all("Authorization"), ["Bearer hush3"]);
        assert_eq!(request.all("Host").len(), 1);
    }
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("hush"), "{said}");
    assert!(!said.contains("every user"), "{said}");
}

/// The trace and the span of each request, as the header has them.
fn traces(arguments: &[&str]) -> Vec<Vec<String>> {
    let receiver = Receiver::start(|n| if n == 0 { 500 } else { 200 });
    let directory = tempfile::tempdir().unwrap();
    let events = private(directory.path(), "events", &EVENT.repeat(2));
    let mut command = support::daemon(&receiver.url());
    command.args(["--events", &events, "--retry-backoff", "1ms"]).args(arguments);
    let (stats, _) = support::run(&mut command);
    assert_eq!(stats["delivered"], 2);
    let of =
        |request: &Request| request.all("traceparent").into_iter().map(str::to_owned).collect();
    receiver.requests().iter().map(of).collect()
}

#[test]
fn each_attempt_is_a_span_in_the_trace_of_its_message_unless_that_is_not_wanted() {
    let traces = traces(&[]);
    let parts: Vec<Vec<_>> = traces.iter().map(|all| all[0].split('-').collect()).collect();
    let [first, second, other] = &parts[..] else { panic!("three requests: {parts:?}") };
    for parts in [first, second, other] {
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        assert_eq!((lengths, parts[0], parts[3]), (vec![2, 32, 16, 2], "00", "01"));
    }
    assert_eq!(first[1], second[1]);
    assert_ne!(first[2], second[2]);
    assert_ne!(first[1], other[1]);
    assert_eq!(self::traces(&["--no-traceparent"]), [[""; 0]; 3]);
}

#[test]
fn credentials_in_the_url_go_before_others_and_are_not_shown() {
    let receiver = Receiver::start(|_| 200);
    let directory = tempfile::tempdir().unwrap();
    let events = private(directory.path(), "events", EVENT);
    let basic = private(directory.path(), "basic", "user:of the file\n");
    fs::set_permissions(&basic, fs::Permissions::from_mode(0o644)).unwrap();
    for (url, expected) in [
        (receiver.url(), "Basic dXNlcjpvZiB0aGUgZmlsZQ=="),
        (receiver.url_of("user:hush%21"), "Basic dXNlcjpodXNoIQ=="),
    ] {
        let mut command = support::daemon(&url);
        command.env("RUST_LOG", "trace").args(["--events", &events, "--basic-file", &basic]);
        let (stats, output) = support::run(&mut command);
        assert_eq!(stats["delivered"], 1);
        let request = receiver.requests().pop().unwrap();
        assert_eq!(request.all("Authorization"), [expected]);
        assert!(request.head.starts_with("POST /hook HTTP/1.1\r\n"), "{}", request.head);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("hush") && !said.contains("dXNl"), "{said}");
        assert!(said.contains("basic: every user of this machine can read"), "{said}");
    }
}

#[test]
fn what_cannot_be_sent_exits_2_with_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name, text| private(directory.path(), name, text);
    let (own, colon) = (file("own", "X-A: 1\nX-Pilot-Topic: hush\n"), file("colon", "hush\n"));
    let (empty, spaced) = (file("empty", "\n"), file("spaced", "hush hush"));
    for (arguments, expected) in [
        (vec!["--header", "hush"], "Name: value"),
        (vec!["--header", ": hush"], "of that name"),
        (vec!["--header", "a b: hush"], "of that name"),
        (vec!["--header", "X-A: hush\nX-B: 1"], "the value"),
        (vec!["--header", "Host: hush"], "Host: requests have a header of that name already"),
        (vec!["--header", "content-length: 1"], "already"),
        (vec!["--header", "x-pilot-signature-256: hush"], "already"),
        (vec!["--header-file", &own], "own, line 2: requests have"),
        (vec!["--header-file", &colon], "colon, line 1: it must be"),
        (vec!["--header-file", "/nowhere/at/all"], "/nowhere/at/all"),
        (vec!["--bearer-file", &empty], "empty: the secret is empty"),
        (vec!["--bearer-file", &spaced], "spaced: these are no credentials"),
        (vec!["--basic-file", &spaced], "spaced: these are no credentials"),
        (vec!["--basic-file", &empty, "--bearer-file", &empty], "--bearer-file"),
        (vec!["--bearer-file", &colon, "--header", "authorization: hush"], "credentials can be"),
        (vec!["--webhook", "http://:hush@127.0.0.1/"], "percent-encoded"),
    ] {
        let output = support::bare().arg("run").args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{arguments:?}: {stderr}");
        let shown = stderr.contains("hush\"") || stderr.contains(" hush");
        assert!(stderr.contains(expected) && !shown, "{arguments:?}: {stderr}");
    }
}
