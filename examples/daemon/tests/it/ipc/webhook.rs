//! A running daemon's webhook, changed over the socket.

use serde_json::Value;

use super::daemon::{Daemon, Place, SET, SET_OK, finish};
use crate::support::{EVENTS, Sink, expect_all_in_order};

fn set(place: &Place, url: &str) -> i32 {
    finish(place.command("set-webhook").arg(url)).0
}

/// Event ids and topics, as they arrived.
fn received(sink: &Sink) -> Vec<(u64, String)> {
    let bodies = sink.received();
    let parsed = bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap());
    let short =
        |body: Value| (body["event_id"].as_u64().unwrap(), body["event"].as_str().unwrap().into());
    parsed.map(short).collect()
}

/// Everything that was written has been read.
fn all_read(daemon: &mut Daemon) {
    daemon.end_of_events();
    daemon.wait_for_log("end of the events");
}

#[test]
fn events_go_where_the_last_command_sent_them_and_ids_go_on() {
    let place = Place::new();
    let (one, two) = (Sink::start(), Sink::start());
    let arguments = ["--events", "-", "--on-full", "drop-newest", "--webhook", &one.url()];
    let mut daemon = place.daemon(&arguments);
    daemon.event("first");
    one.wait_for(1);
    assert_eq!(set(&place, &two.url()), 0);
    daemon.event("second");
    two.wait_for(1);
    assert_eq!(finish(&mut place.command("clear-webhook")).0, 0);
    daemon.event("nowhere");
    all_read(&mut daemon);
    let stats = daemon.terminate();
    assert_eq!(received(&one), [(1, "first".into())]);
    assert_eq!(received(&two), [(2, "second".into())]);
    assert_eq!((stats["emitted"].as_u64(), stats["delivered"].as_u64()), (Some(2), Some(2)));
    assert_eq!(stats["not_taken"], 1);
}

/// They were discarded.
#[test]
fn events_that_can_wait_wait_for_a_webhook_with_reading() {
    let place = Place::new();
    let sink = Sink::start();
    let daemon = place.daemon(&["--events", EVENTS, "--exit-at-end"]);
    daemon.wait_for_log("there is no webhook: the events wait for one");
    assert_eq!(set(&place, &sink.url()), 0);
    assert_eq!(daemon.end()["delivered"], 54);
    expect_all_in_order(&sink);
}

#[test]
fn an_event_that_waits_for_a_webhook_at_a_signal_is_counted() {
    let place = Place::new();
    let mut daemon = place.daemon(&["--events", "-"]);
    daemon.event("first");
    daemon.wait_for_log("there is no webhook: the events wait for one");
    let stats = daemon.terminate();
    assert_eq!((stats["lines"].as_u64(), stats["not_taken"].as_u64()), (Some(1), Some(1)));
}

/// To open one waits for a writer. So did the socket, and signals.
#[test]
fn a_named_pipe_without_a_writer_keeps_nobody_waiting() {
    let place = Place::new();
    let sink = Sink::start();
    let pipe = place.directory.path().join("events");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let path = pipe.to_str().unwrap().to_owned();
    let arguments = ["--webhook", &sink.url(), "--events", &path];
    let daemon = place.daemon(&arguments);
    assert_eq!(daemon.info()["webhook"]["emitted"], 0);
    assert_eq!(daemon.terminate()["emitted"], 0);

    let daemon = place.daemon(&arguments);
    // On a thread: it waits for the reader.
    let writer = std::thread::spawn(|| std::fs::write(pipe, "{\"topic\":\"first\"}\n"));
    sink.wait_for(1);
    writer.join().unwrap().unwrap();
    assert_eq!(daemon.terminate()["delivered"], 1);
}

/// The first writer that closed it was the last one that was read.
#[test]
fn a_named_pipe_that_is_followed_outlives_its_writers() {
    let place = Place::new();
    let sink = Sink::start();
    let pipe = place.directory.path().join("events");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let path = pipe.to_str().unwrap().to_owned();
    let daemon = place.daemon(&["--webhook", &sink.url(), "--events", &path, "--follow"]);
    for n in 1..=3 {
        std::fs::write(&pipe, "{\"topic\":\"one of three\"}\n").unwrap();
        sink.wait_for(n);
    }
    assert_eq!(daemon.terminate()["delivered"], 3);
}

#[test]
fn a_daemon_without_a_webhook_gets_one() {
    let place = Place::new();
    let sink = Sink::start();
    let mut daemon = place.daemon(&["--events", "-"]);
    let answer = daemon.client().ask(SET, sink.url().as_bytes());
    assert_eq!(answer.0, SET_OK);
    daemon.event("first");
    sink.wait_for(1);
    let stats = daemon.terminate();
    assert_eq!(stats["delivered"], 1);
}

#[test]
fn a_url_that_is_none_leaves_all_as_it_was() {
    let place = Place::new();
    let sink = Sink::start();
    let mut daemon = place.daemon(&["--events", "-", "--webhook", &sink.url()]);
    let long = format!("http://h/{}", "a".repeat(2_048));
    for url in ["ftp://h/", "http://", "http://:p@h/", "http://169.254.169.254/", &long] {
        assert_eq!(set(&place, url), 1, "{url}");
    }
    // Pilotctl shows no refusal.
    daemon.wait_for_log("refused: the URL must begin with http:// or https://");
    daemon.event("first");
    sink.wait_for(1);
    assert_eq!(daemon.info()["webhook"]["url"], sink.url());
    assert_eq!(daemon.terminate()["delivered"], 1);
}

#[test]
fn with_a_socket_the_daemon_outlives_its_events() {
    let place = Place::new();
    let sink = Sink::start();
    let daemon = place.daemon(&["--events", EVENTS, "--webhook", &sink.url()]);
    daemon.wait_for_log("end of the events");
    sink.wait_for(54);
    expect_all_in_order(&sink);
    assert_eq!(daemon.info()["webhook"]["emitted"], 54);
    assert_eq!(daemon.terminate()["delivered"], 54);
}

#[test]
fn told_to_it_ends_with_them() {
    let place = Place::new();
    let sink = Sink::start();
    let daemon = place.daemon(&["--events", EVENTS, "--webhook", &sink.url(), "--exit-at-end"]);
    assert_eq!(daemon.end()["delivered"], 54);
    assert!(place.names().is_empty());
}

#[test]
fn a_daemon_comes_back_with_the_url_that_was_set_and_without_one_that_was_cleared() {
    let place = Place::new();
    let sink = Sink::start();
    let daemon = place.daemon(&[]);
    assert_eq!(set(&place, &sink.url()), 0);
    // The answer came after the file was written.
    daemon.kill();
    let mut daemon = place.daemon(&["--events", "-"]);
    daemon.event("after the restart");
    sink.wait_for(1);
    assert_eq!(finish(&mut place.command("clear-webhook")).0, 0);
    daemon.kill();
    let daemon = place.daemon(&[]);
    assert_eq!(daemon.info()["webhook"]["url"], "");
    daemon.terminate();
}

/// It was answered with success, and the old URL came back after a restart.
#[test]
fn a_url_that_cannot_be_saved_is_an_error_that_says_what_is_in_force() {
    let place = Place::new();
    let sink = Sink::start();
    let file = place.home.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let home = file.join("home");
    let mut daemon = place.daemon(&["--events", "-", "--home", home.to_str().unwrap()]);
    let (status, stdout, stderr) = finish(place.command("set-webhook").arg(sink.url()));
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(stderr.contains("set until the daemon ends, but not saved"), "{stderr}");
    daemon.event("first");
    sink.wait_for(1);
    let (status, _, stderr) = finish(&mut place.command("clear-webhook"));
    assert!(status == 1 && stderr.contains("cleared until the daemon ends"), "{stderr}");
    daemon.terminate();
}

#[test]
fn a_persisted_url_that_is_wrong_is_said_and_the_events_wait_for_another() {
    let place = Place::new();
    let sink = Sink::start();
    let file = place.home.path().join("webhook_url");
    std::fs::write(&file, "http://169.254.169.254/").unwrap();
    let daemon = place.daemon(&["--events", EVENTS, "--exit-at-end"]);
    daemon.wait_for_log("there is no webhook");
    assert_eq!(set(&place, &sink.url()), 0);
    assert_eq!(daemon.end()["delivered"], 54);

    // Without a socket no other can come.
    std::fs::write(&file, "http://169.254.169.254/").unwrap();
    let mut command = crate::support::bare();
    command.args(["run", "--events", EVENTS]).env("PILOT_HOME", place.home.path());
    let (status, _, stderr) = finish(&mut command);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("webhook_url") && stderr.contains("link-local"), "{stderr}");
}

#[test]
fn swaps_at_any_moment_lose_no_event() {
    const EVENTS: u64 = 2_000;
    let place = Place::new();
    let sinks = [Sink::start(), Sink::start()];
    let arguments = ["--events", "-", "--block-when-full", "--webhook", &sinks[0].url()];
    let mut daemon = place.daemon(&arguments);
    let mut client = daemon.client();
    for n in 0..EVENTS {
        daemon.event("t");
        if n % 20 == 0 {
            let url = sinks[usize::from(n % 40 == 0)].url();
            assert_eq!(client.ask(SET, url.as_bytes()).0, SET_OK);
        }
    }
    all_read(&mut daemon);
    let stats = daemon.terminate();
    let mut ids: Vec<u64> = sinks.iter().flat_map(received).map(|(event_id, _)| event_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(stats["delivered"], EVENTS);
}
