//! Files with which something is wrong, and `verify`, which tells.

use std::fs;

use serde_json::json;

use super::place::{Done, Place, done};
use crate::support::bare;

/// Every command, with what it needs.
const ALL: [&[&str]; 8] = [
    &["status"],
    &["list"],
    &["dead"],
    &["show", "1"],
    &["replay", "--all"],
    &["purge", "--all"],
    &["export"],
    &["verify"],
];

#[tokio::test]
async fn what_is_no_outbox_is_refused_and_left_as_it_is() {
    for (make, says) in [
        ("", "no such file"),
        ("text", "not a SQLite database"),
        ("CREATE TABLE t(x)", "a SQLite database, but no outbox"),
        ("PRAGMA user_version = 9", "of version 9, and only versions up to 3 are known here"),
    ] {
        let place = match make {
            _ if make.starts_with("PRAGMA") => Place::stopped().await,
            _ => Place::new(),
        };
        match make {
            "" => {}
            "text" => {
                fs::write(&place.path, "no database, and long enough for one".repeat(99)).unwrap();
            }
            sql => place.sql(sql),
        }
        let before = fs::read(&place.path).ok();
        for arguments in ALL {
            let Done { status, out, err } = place.run(arguments);
            assert_eq!((status, out.as_str()), (1, ""), "{arguments:?}");
            let line = format!("pilot-webhookd: outbox {}: {says}\n", place.path.display());
            assert_eq!(err, line, "{arguments:?}");
        }
        assert!(fs::read(&place.path).ok() == before, "{make}");
    }
    let mut nowhere = Place::new();
    nowhere.path = "/nowhere/at/all/events.db".into();
    let Done { status, err, .. } = nowhere.run(&["status"]);
    let line = "pilot-webhookd: outbox /nowhere/at/all/events.db: its directory does not exist\n";
    assert_eq!((status, err.as_str()), (1, line));
}

#[test]
fn without_a_file_it_is_wrong_usage() {
    for arguments in ALL {
        let Done { status, out, err } = done(bare().arg("outbox").args(arguments));
        assert_eq!((status, out.as_str()), (2, ""));
        assert!(err.contains("--outbox <FILE>"), "{err}");
    }
}

#[tokio::test]
async fn a_sound_file_is_told_as_such_on_a_live_and_on_a_stopped_file() {
    let place = Place::new();
    let outbox = place.filled().await;
    let law = "6 accepted = 1 delivered + 2 dead + 0 purged + 0 expired + 0 aged out + 0 dropped + 3 stored";
    assert_eq!(place.out(&["verify"]), format!("all is well: {law}\n"));
    outbox.close().await.unwrap();
    assert_eq!(place.out(&["verify"]), format!("all is well: {law}\n"));
    let found = &place.json(&["verify"])[0];
    assert_eq!((&found["sound"], &found["problems"]), (&json!(true), &json!([])));
    assert_eq!((&found["accepted"], &found["stored"]), (&json!(6), &json!(3)));
}

#[tokio::test]
async fn every_finding_is_printed_and_the_exit_status_is_1() {
    let place = Place::stopped().await;
    place.sql(
        "DELETE FROM events WHERE id = 5; UPDATE counters SET value = 3 WHERE name = 'last_id'",
    );
    let Done { status, out, err } = place.run(&["verify"]);
    assert_eq!(status, 1);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "events that wait: 3 by the counters, 2 there");
    assert!(lines[1].starts_with("their bytes: "), "{out}");
    assert!(lines[2].starts_with("bytes that wait for pilot: "), "{out}");
    assert_eq!(lines[3..], ["id 6 is there, and 3 was given last"]);
    assert_eq!(err, format!("pilot-webhookd: outbox {}: 4 problems\n", place.path.display()));

    let Done { status, out, err: json_err } = place.run(&["verify", "--json"]);
    assert_eq!((status, json_err), (1, err));
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["sound"], false);
    assert_eq!(found["problems"].as_array().unwrap().len(), 4);
}

/// The line was the description of the program.
#[test]
fn without_a_command_it_is_wrong_usage() {
    for arguments in [&[][..], &["outbox"]] {
        let Done { status, out, err } = done(bare().args(arguments));
        assert_eq!((status, out.as_str()), (2, ""));
        assert_eq!(err, "pilot-webhookd: it needs a command (see --help)\n");
    }
}

/// The page of a table is overwritten: some commands fail, in one line; none panics.
#[tokio::test]
async fn a_damaged_file_is_an_error_in_one_line() {
    let place = Place::stopped().await;
    let mut bytes = fs::read(&place.path).unwrap();
    bytes[4_096..].fill(0xa5);
    fs::write(&place.path, &bytes).unwrap();
    for arguments in ALL {
        let Done { status, err, .. } = place.run(arguments);
        assert_eq!(status, 1, "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with("pilot-webhookd: outbox "), "{err}");
    }
}
