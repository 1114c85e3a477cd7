//! `--format`, `--source` and `--type-prefix`. (What is in the headers of binary mode: `tests/tests/it/cloudevents.rs`.)

use std::fs;

use serde_json::Value;

use crate::support::{EVENTS, Sink, bare, daemon, run};

/// The bodies of the captured events.
fn bodies(arguments: &[&str]) -> Vec<String> {
    let sink = Sink::start();
    let (stats, output) =
        run(daemon(&sink.url()).args(["--events", EVENTS, "--node-id", "1"]).args(arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stats["delivered"], 54);
    sink.received()
}

fn captured() -> Vec<Value> {
    let events = fs::read_to_string(EVENTS).unwrap();
    events.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn captured_events_are_cloud_events() {
    let alone =
        bodies(&["--format", "cloudevents"]).iter().map(|body| parse(body)).collect::<Vec<_>>();
    for (own, event) in alone.iter().zip(captured()) {
        assert_eq!(own["type"], event["topic"]);
        assert_eq!(own["time"], event["timestamp"]);
        assert_eq!(own["source"], format!("urn:pilot:node:{}", event["node_id"]));
        assert_eq!(own["data"], event["data"]);
    }
    let options = ["--source", "https://example.org/", "--type-prefix", "pilot.", "--batch", "10"];
    let batches = bodies(&[&["--format", "cloudevents"][..], &options].concat());
    let events = batches.iter().flat_map(|body| parse(body).as_array().unwrap().clone());
    for (own, event) in events.zip(captured()) {
        assert_eq!(own["type"], format!("pilot.{}", event["topic"].as_str().unwrap()));
        assert_eq!(own["source"], "https://example.org/");
        assert_eq!(own["data"], event["data"]);
    }
    assert!(batches.len() >= 6);
}

#[test]
fn the_body_of_binary_mode_is_the_data() {
    let bodies = bodies(&["--format", "cloudevents-binary"]);
    for (body, event) in bodies.iter().zip(captured()) {
        let data = if body.is_empty() { Value::Null } else { parse(body) };
        assert_eq!(data, event["data"]);
    }
}

#[test]
fn captured_events_are_what_go_would_write() {
    let plain = bodies(&["--format", "pilot"]);
    assert_eq!(plain, bodies(&[]));
    // Their keys are sorted: Go wrote them. One has characters that Go escapes.
    let escaped = |body: &String| {
        body.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    };
    let go = bodies(&["--format", "pilot-go"]);
    assert!(go != plain && go == plain.iter().map(escaped).collect::<Vec<_>>());
}

#[test]
fn what_goes_with_no_format_exits_2_with_one_line() {
    for (arguments, expected) in [
        (&["--format", "xml"][..], "--format"),
        (&["--format", "cloudevents-binary", "--batch", "2"], "the format has no batches"),
        (&["--source", "urn:x"], "--source: it goes with the format cloudevents"),
        (&["--format", "pilot-go", "--type-prefix", "x"], "--type-prefix: it goes with"),
        (&["--cloudevents-origin", "a b"], "the origin of the handshake must be a name"),
        (&["--format", "cloudevents", "--source", "a b"], "the source must be a URI"),
        (&["--format", "cloudevents", "--type-prefix", "a b"], "the prefix of types"),
    ] {
        let mut command = bare();
        let output =
            command.args(["run", "--webhook", "http://127.0.0.1/"]).args(arguments).output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}
