//! `--config`: several endpoints, and reloads while events flow.

mod reload;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Sink, bare, run};

/// An endpoint that makes those wait who bring events, so that none is lost.
fn endpoint(name: &str, url: &str, further: &str) -> String {
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\non_full = \"block\"\n{further}\n")
}

/// A file with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pilot.toml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

fn with_config(command: &str, path: &PathBuf) -> Command {
    let mut called = bare();
    called.arg(command).arg("--config").arg(path);
    called
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The topics of what arrived.
fn topics(sink: &Sink) -> Vec<String> {
    let topic = |body: &String| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["event"].as_str().unwrap().to_owned()
    };
    sink.received().iter().map(topic).collect()
}

#[test]
fn each_endpoint_gets_what_its_filter_lets_pass() {
    let (all, some, refused) = (Sink::start(), Sink::start(), Sink::reserve());
    let text = endpoint("all", &all.url(), "")
        + &endpoint("some", &some.url(), "topics = [\"a.*\", \"b\"]\nexclude = \"a.x\"")
        + &endpoint("other", &refused.url(), "topics = \"none\"");
    let (directory, path) = file(&format!("events = \"events\"\n{text}"));
    let events = ["a.1", "a.x", "b", "b.1", "c"];
    let lines: String = events.iter().map(|topic| format!("{{\"topic\":\"{topic}\"}}\n")).collect();
    // Relative to the file.
    fs::write(directory.path().join("events"), lines).unwrap();
    let (stats, output) = run(&mut with_config("run", &path));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output).1);
    assert_eq!(topics(&all), events);
    assert_eq!(topics(&some), ["a.1", "b"]);
    assert_eq!(stats["endpoints"]["all"]["delivered"], 5, "{stats}");
    assert_eq!(stats["endpoints"]["some"]["delivered"], 2, "{stats}");
    assert_eq!(stats["endpoints"]["other"]["emitted"], 0, "{stats}");
    assert!(said(&output).1.contains("to 3 endpoints: all, some, other"), "{}", said(&output).1);
}

#[test]
fn the_log_says_where_one_endpoint_delivers_whatever_its_name_is() {
    let sink = Sink::start();
    let (directory, path) =
        file(&format!("events = \"events\"\n{}", endpoint("a", &sink.url(), "")));
    fs::write(directory.path().join("events"), "{\"topic\":\"t\"}\n").unwrap();
    let (_, output) = run(&mut with_config("run", &path));
    let (_, stderr) = said(&output);
    let origin = sink.url().split('/').take(3).collect::<Vec<_>>().join("/");
    assert!(stderr.contains(&format!(" to {origin}, unsigned")), "{stderr}");
}

#[test]
fn an_outbox_has_a_delivery_for_each_endpoint_that_an_event_is_for() {
    let (all, some) = (Sink::start(), Sink::start());
    let text = endpoint("all", &all.url(), "") + &endpoint("some", &some.url(), "topics = \"b\"");
    let (directory, path) = file(&format!("events = \"events\"\noutbox = \"events.db\"\n{text}"));
    let lines = "{\"topic\":\"a\"}\n{\"topic\":\"b\"}\n{\"topic\":\"c\"}\n";
    fs::write(directory.path().join("events"), lines).unwrap();
    let (stats, output) = run(&mut with_config("run", &path));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output).1);
    assert_eq!((topics(&all).len(), topics(&some)), (3, vec!["b".to_owned()]));
    assert_eq!((&stats["events"], &stats["lines"]), (&3.into(), &3.into()), "{stats}");
    let ledger = &stats["outbox"];
    assert_eq!((&ledger["accepted"], &ledger["delivered"]), (&4.into(), &4.into()), "{stats}");
    // The file has an endpoint `pilot`, which nobody configured.
    let mut status = bare();
    status.args(["outbox", "status", "--outbox"]).arg(directory.path().join("events.db"));
    let (shown, _) = said(&status.output().unwrap());
    assert!(shown.contains(" all: 3 accepted") && !shown.contains("pilot:"), "{shown}");
}

#[test]
fn check_says_what_the_file_means_or_all_that_is_wrong() {
    let good =
        endpoint("a", "https://h.example/secret-path", "topics = \"conn.*\"\nnodes = [1, 2]");
    let (_directory, path) = file(&good);
    let output = with_config("check", &path).output().unwrap();
    let (stdout, stderr) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let expected = format!(
        "{}: good, 1 endpoint\n  a  https://h.example, conn.*, of node 1 2\n\
         warning: nothing brings events: there is no listen, events or from\n",
        path.display()
    );
    assert_eq!(stdout, expected);

    let (_directory, path) = file(&format!("batches = 1\n{good}retry_jitter = 101\n"));
    let (_, first) = said(&with_config("check", &path).output().unwrap());
    for command in ["check", "run"] {
        let output = with_config(command, &path).output().unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!((output.status.code(), &*stdout), (Some(2), ""), "{stderr}");
        assert_eq!(stderr, first);
    }
    let path = path.display();
    let lines: Vec<_> = first.lines().collect();
    assert_eq!(
        lines,
        [
            format!("{path}:1: batches: there is no such key; did you mean batch?"),
            format!("{path}:8: retry_jitter: \"101\": expected a number from 0 to 100"),
            format!("pilot-webhookd: {path}: 2 errors; nothing of it is applied"),
        ]
    );
}

#[test]
fn check_needs_a_file() {
    let output = bare().arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said(&output).1, "pilot-webhookd: check needs --config FILE\n");
    let output = with_config("check", &PathBuf::from("/none/at/all")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).1.starts_with("pilot-webhookd: /none/at/all: No such file"),
        "{}",
        said(&output).1
    );
}

/// A token that is made at the start has a place under the home, in the runtime directory, or beside the socket.
#[test]
fn check_knows_whether_there_is_a_place_for_the_token() {
    let (_directory, path) =
        file(&format!("admin = 0\nlisten = 0\n{}", endpoint("a", "http://h/", "")));
    let checked = |set: Option<&str>| {
        let mut command = with_config("check", &path);
        command.env_remove("XDG_RUNTIME_DIR");
        set.map(|directory| command.env("XDG_RUNTIME_DIR", directory));
        command.output().unwrap()
    };
    let (_, stderr) = said(&checked(None));
    assert!(stderr.contains(".toml:1: admin: --admin needs a place for its token"), "{stderr}");
    assert_eq!(checked(Some("/tmp")).status.code(), Some(0));
}
