//! Where `pilot-webhookd run` takes the webhook's URL from.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{EVENTS, Sink, bare, run};

const VARIABLE: &str = "PILOT_WEBHOOK_URL";

/// `run` with a home of its own.
fn command(home: &TempDir) -> Command {
    let mut command = bare();
    command.args(["run", "--events", EVENTS]).env("PILOT_HOME", home.path());
    command
}

fn delivers(command: &mut Command, sink: &Sink) {
    let (stats, _) = run(command);
    assert_eq!((stats["delivered"].as_u64(), sink.received().len()), (Some(54), 54));
}

#[track_caller]
fn expect_usage(output: &Output, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains(words), "{stderr}");
}

/// Each way alone, and before those that come after it. A token in the URL was in /proc/PID/cmdline, and pilot's
/// configuration was not read.
#[test]
fn of_several_urls_the_first_counts() {
    let home = TempDir::new().unwrap();
    let wrong = "http://127.0.0.1:1/wrong";
    let file = home.path().join("url");
    let config = |url: &str| {
        let text = format!(r#"{{"registry": "example.com:9000", "webhook": "{url}"}}"#);
        fs::write(home.path().join("config.json"), text).unwrap();
    };
    fs::write(home.path().join("webhook_url"), wrong).unwrap();

    let sink = Sink::start();
    config(&sink.url());
    delivers(&mut command(&home), &sink);

    config(wrong);
    let sink = Sink::start();
    delivers(command(&home).env(VARIABLE, sink.url()), &sink);

    let sink = Sink::start();
    fs::write(&file, format!("\u{FEFF}{}\r\n", sink.url())).unwrap();
    delivers(command(&home).env(VARIABLE, wrong).arg("--webhook-file").arg(&file), &sink);

    let sink = Sink::start();
    delivers(command(&home).env(VARIABLE, wrong).args(["--webhook", &sink.url()]), &sink);

    // Without one of them, what was set over the socket.
    let sink = Sink::start();
    fs::write(home.path().join("config.json"), r#"{"webhook": ""}"#).unwrap();
    fs::write(home.path().join("webhook_url"), sink.url()).unwrap();
    delivers(command(&home).env(VARIABLE, ""), &sink);
}

#[test]
fn a_url_that_is_asked_for_and_cannot_be_used_is_wrong_usage() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("url");
    let with_file = |text: &str| {
        fs::write(&file, text).unwrap();
        command(&home).arg("--webhook-file").arg(&file).output().unwrap()
    };
    expect_usage(&with_file(" \n"), "url: there is no URL in it");
    expect_usage(&with_file("http://169.254.169.254/"), "url: link-local");
    fs::remove_file(&file).unwrap();
    let missing = command(&home).arg("--webhook-file").arg(&file).output().unwrap();
    expect_usage(&missing, "No such file");
    let output = command(&home).env(VARIABLE, "ftp://h/").output().unwrap();
    expect_usage(&output, "PILOT_WEBHOOK_URL: the URL must begin with");
    let both = ["--webhook", "http://h/", "--webhook-file", "url"];
    expect_usage(&command(&home).args(both).output().unwrap(), "cannot be used with");
}

#[test]
fn a_configuration_that_is_wrong_is_said_without_what_is_in_it_and_passed_over() {
    for (text, why) in [
        (r#"{"webhook": "http://h/%hunter2"}"#, "config.json: every %"),
        (r#"{"webhook": {"hunter2": 1}}"#, "config.json: line 1: not a configuration"),
        ("hunter2", "config.json: line 1: not a configuration"),
    ] {
        let home = TempDir::new().unwrap();
        fs::write(home.path().join("config.json"), text).unwrap();
        let sink = Sink::start();
        fs::write(home.path().join("webhook_url"), sink.url()).unwrap();
        let (stats, output) = run(&mut command(&home));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(why) && !log.contains("hunter2"), "{log}");
        assert_eq!(stats["delivered"], 54);
    }
}
