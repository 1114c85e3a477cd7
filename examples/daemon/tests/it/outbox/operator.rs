//! An operator's path: a receiver refuses events, the reason goes away, and they are delivered again.

use serde_json::Value;

use super::place::Place;
use crate::support::{EVENTS, Sink, daemon, run, signal, wait};

fn is_of_a_connection(event: &&Value) -> bool {
    event["topic"].as_str().unwrap().starts_with("conn.")
}

#[test]
fn what_a_receiver_refused_is_delivered_when_it_is_replayed() {
    let place = Place::new();
    // It refuses what is not signed.
    let refusing = Sink::start_with_secret(b"which the daemon does not have");
    let (_, output) =
        run(daemon(&refusing.url()).args(["--events", EVENTS, "--outbox"]).arg(&place.path));
    assert_eq!(output.status.code(), Some(3));
    let letters = place.json(&["dead"]);
    assert_eq!(letters.len(), 54);
    for letter in &letters {
        assert_eq!((&letter["fate"], &letter["status"]), (&"rejected".into(), &401.into()));
        assert_eq!(letter["url"], refusing.url().trim_end_matches("/hook"));
    }

    let sink = Sink::start();
    let mut command = daemon(&sink.url());
    // It goes on until its input ends.
    let child = command.args(["--events", "-", "--outbox"]).arg(&place.path).spawn().unwrap();
    while place.json(&["status"])[0]["live"] != true {}
    let asked = &place.json(&["replay", "--topic", "conn.*"])[0];
    let expected: Vec<_> = letters.iter().filter(is_of_a_connection).collect();
    assert_eq!((&asked["asked"], &asked["live"]), (&expected.len().into(), &true.into()));
    sink.wait_for(expected.len());
    for (body, letter) in sink.received().iter().zip(expected.iter().copied()) {
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["event"], &body["data"]), (&letter["topic"], &letter["data"]));
        assert_eq!(
            (&body["timestamp"], &body["node_id"]),
            (&letter["timestamp"], &letter["node_id"])
        );
    }
    let purged = &place.json(&["purge", "--all"])[0]["purged"];
    assert_eq!(purged, 54 - expected.len());
    signal(&child, "TERM");
    assert!(wait(child).status.success());

    let found = &place.json(&["verify"])[0];
    let counts = ["accepted", "delivered", "dead", "purged", "stored"].map(|key| &found[key]);
    assert_eq!(counts, [&54.into(), &expected.len().into(), &0.into(), purged, &0.into()]);
}
