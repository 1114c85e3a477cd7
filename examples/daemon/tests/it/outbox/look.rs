//! The commands that change nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use pilot_webhook_std::outbox::NewEvent;
use serde_json::{Value, json};

use super::place::{NOON, Place};
use crate::support;

/// The value with this name in a table.
fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let found = table.lines().find_map(|line| line.strip_prefix(&format!("{name:<13}")));
    found.unwrap_or_else(|| panic!("{name}: {table}"))
}

#[tokio::test]
async fn the_status_of_a_live_and_of_a_stopped_file() {
    let place = Place::new();
    let outbox = place.filled().await;
    assert_eq!(row(&place.out(&["status"]), "daemon"), "has the file");
    assert_eq!(place.json(&["status"])[0]["live"], true);
    outbox.close().await.unwrap();
    let shown = place.out(&["status"]);
    assert_eq!(row(&shown, "daemon"), "none");
    assert!(row(&shown, "file").starts_with(place.path.to_str().unwrap()), "{shown}");
    assert!(row(&shown, "waiting").starts_with("3 events, "), "{shown}");
    assert!(row(&shown, "oldest").starts_with("event 4, waits for "), "{shown}");
    assert_eq!(row(&shown, "dead letters"), "2");
    assert_eq!(row(&shown, "ever dead"), "1 rejected, 1 exhausted, 0 oversize; 0 replayed");
    assert_eq!(row(&shown, "read up to"), "120 of file");
    assert_eq!(
        row(&shown, "all events"),
        "6 accepted = 1 delivered + 2 dead + 0 purged + 0 expired + 0 aged out + 0 dropped + 3 stored"
    );

    let [status] = &place.json(&["status"])[..] else { panic!("one line") };
    let number = |key: &str| status[key].as_u64().unwrap();
    let parts = ["delivered", "dead", "purged", "expired", "aged_out", "dropped", "stored"];
    assert_eq!(number("accepted"), parts.into_iter().map(number).sum::<u64>());
    assert_eq!(status["file"], place.path.to_str().unwrap());
    assert_eq!(status["instance"].as_str().unwrap().len(), 16);
    assert_eq!((number("last_id"), number("replays"), number("stored")), (6, 0, 3));
    assert!(number("file_bytes") > 4_096 && number("stored_bytes") > 3 * 32);
    assert_eq!(status["oldest"]["id"], 4);
    assert!(status["oldest"]["age_secs"].as_u64().unwrap() < 600);
    assert_eq!(status["positions"], json!({"file": "120"}));
}

#[tokio::test]
async fn the_status_of_a_file_in_which_nothing_ever_was() {
    let place = Place::new();
    place.open().close().await.unwrap();
    let shown = place.out(&["status"]);
    assert!(row(&shown, "waiting").starts_with("0 events, 0 bytes"), "{shown}");
    assert!(!shown.contains("oldest"), "{shown}");
    assert_eq!(place.json(&["status"])[0].get("oldest"), None);
    for command in ["list", "dead", "export"] {
        assert_eq!(place.out(&[command]), "", "{command}");
    }
}

#[tokio::test]
async fn what_waits_is_listed_one_a_line() {
    let place = Place::new();
    let outbox = place.filled().await;
    let live = place.out(&["list"]);
    outbox.close().await.unwrap();
    assert_eq!(place.out(&["list"]), live);
    let lines: Vec<_> = live.lines().collect();
    assert_eq!(
        lines,
        [
            "       4  pilot  2026-01-15T12:34:56.789Z  node 7  conn.established  34 B  \
             { \"big\":\\u{a}12345678901234567890123 }",
            "       5  pilot  2026-01-15T12:34:56.789Z  node 7  a\\u{1b}[2Jb  no data",
            "       6  pilot  2026-01-15T12:34:56.789Z  node 7  conn.lost  4 B  null",
        ]
    );

    let events = place.json(&["list"]);
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [4, 5, 6]);
    assert_eq!(events[1]["topic"], "a\u{1b}[2Jb");
    assert_eq!(events[1].get("data"), None);
    let all = (&events[2]["state"], &events[2]["node_id"], &events[2]["timestamp"]);
    assert_eq!(all, (&json!("waiting"), &json!(7), &json!("2026-01-15T12:34:56.789Z")));
    assert_eq!((&events[2]["origin_id"], &events[2]["data"]), (&json!(u64::MAX), &Value::Null));
    // Numbers are what they were, digit by digit.
    let out = place.out(&["list", "--json"]);
    assert!(out.contains("\"data\":{ \"big\": 12345678901234567890123 }"), "{out}");
}

#[tokio::test]
async fn dead_letters_are_listed_with_their_story() {
    let place = Place::new();
    let outbox = place.filled().await;
    let live = place.out(&["dead"]);
    outbox.close().await.unwrap();
    assert_eq!(place.out(&["dead"]), live);
    let lines: Vec<_> = live.lines().collect();
    assert_eq!(lines.len(), 2);
    let end = " after 1 attempt: status 400, http://127.0.0.1:9/hook  7 B  {\"n\":2}";
    assert!(lines[0].contains("  node 7  conn.lost  rejected 20"), "{live}");
    assert!(lines[0].ends_with(end), "{live}");
    let end = " after 3 attempts: refused\\u{a}by \\u{1b}[2Jthe host, http://127.0.0.1:9/hook  \
               12 B  \"x\\u001b[2J\"";
    assert!(lines[1].ends_with(end), "{live}");

    let letters = place.json(&["dead"]);
    let story = |index: usize| {
        ["id", "state", "fate", "attempts", "status", "error", "url", "replay", "data"]
            .map(|key| letters[index].get(key).cloned().unwrap_or_default())
    };
    let url = json!("http://127.0.0.1:9/hook");
    let first = [json!(2), json!("dead"), json!("rejected"), json!(1), json!(400), Value::Null];
    assert_eq!(story(0)[..6], first);
    assert_eq!(story(0)[6..], [url, json!(false), json!({"n": 2})]);
    let error = json!("refused\nby \u{1b}[2Jthe host");
    let second = [json!(3), json!("dead"), json!("exhausted"), json!(3), Value::Null, error];
    assert_eq!(story(1)[..6], second);
    assert!(letters[1]["died_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn one_event_is_shown_with_all_of_its_data() {
    let place = Place::new();
    let outbox = place.open();
    let data = format!("\"{}\"", "x".repeat(10_000));
    let event = NewEvent::new("a", 7, NOON).with_data(&data).with_origin_id(5);
    outbox.put(event).unwrap().await.unwrap();
    let shown = place.out(&["show", "1"]);
    outbox.close().await.unwrap();
    assert_eq!(place.out(&["show", "1"]), shown);
    assert_eq!(row(&shown, "state"), "waiting");
    assert_eq!(row(&shown, "origin id"), "5");
    assert_eq!(row(&shown, "size"), "10002 bytes");
    assert_eq!(row(&shown, "data"), data);
    assert_eq!(place.json(&["show", "1"]), place.json(&["list"]));

    let place = Place::stopped().await;
    let shown = place.out(&["show", "3"]);
    assert_eq!(row(&shown, "state"), "exhausted");
    assert_eq!(row(&shown, "last attempt"), r"refused\u{a}by \u{1b}[2Jthe host");
    assert_eq!(row(&shown, "replay"), "no");
    assert_eq!(place.json(&["show", "3"])[0], place.json(&["dead"])[1]);
    for (id, says) in [
        ("1", "event 1 is not in the file any more: it was delivered, removed or replayed"),
        ("7", "there is no event 7: the last one is 6"),
    ] {
        let done = place.run(&["show", id]);
        assert_eq!((done.status, done.out.as_str()), (1, ""));
        assert_eq!(done.err, format!("pilot-webhookd: {says}\n"));
    }
}

/// What a daemon leaves that is killed: part of the events is in the write-ahead log only.
#[tokio::test]
async fn the_file_of_a_killed_daemon_is_shown_whole() {
    let (place, left) = (Place::new(), Place::new());
    let outbox = place.filled().await;
    for end in ["", "-wal", "-lock"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        fs::copy(name(&place.path), name(&left.path)).unwrap();
    }
    assert!(fs::metadata(format!("{}-wal", left.path.display())).unwrap().len() > 0);
    assert_eq!(row(&left.out(&["status"]), "daemon"), "none");
    for command in ["list", "dead", "export", "verify"] {
        assert_eq!(left.out(&[command]), place.out(&[command]), "{command}");
    }
    outbox.close().await.unwrap();
}

/// An open list would keep the live outbox from emptying its log, which grows then.
#[tokio::test]
async fn a_reader_that_stops_in_the_middle_of_a_list_holds_up_nothing() {
    let place = Place::new();
    let outbox = place.open();
    let events = vec![NewEvent::new("a.topic", 7, NOON); 5_000];
    outbox.put_all(&events, None).unwrap().await.unwrap();
    let mut child = place.command(&["list"]).spawn().unwrap();
    let mut first = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    outbox.put(events[0]).unwrap().await.unwrap();
    // It waits for readers for some seconds, and says whether one was in its way.
    let other = rusqlite::Connection::open(&place.path).unwrap();
    let is_held: bool =
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0)).unwrap();
    assert!(!is_held);
    let output = support::wait(child);
    assert_eq!(output.status.code(), Some(0));
    outbox.close().await.unwrap();
}

/// Who has seen enough closes the pipe.
#[tokio::test]
async fn a_long_list_goes_through_a_pipe_that_is_closed_early() {
    let place = Place::new();
    let outbox = place.open();
    for _ in 0..20 {
        let events = vec![NewEvent::new("a.topic", 7, NOON).with_data("{\"n\":1}"); 250];
        outbox.put_all(&events, None).unwrap().await.unwrap();
    }
    assert_eq!(place.out(&["list"]).lines().count(), 5_000);
    for arguments in [&["list"][..], &["list", "--json"], &["export"]] {
        let mut child = place.command(arguments).spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        assert!(first.contains("a.topic"), "{first}");
        drop(stdout);
        let output = support::wait(child);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
    }
    outbox.close().await.unwrap();
}

/// Of several endpoints each has its own list, and an event is exported once.
#[tokio::test]
async fn the_endpoint_is_shown_and_chosen() {
    let place = Place::new();
    let outbox = place.filled().await;
    let audit = outbox.endpoint("a\u{1b}[2Jb").unwrap();
    let both = [outbox.pilot().id(), audit.id()];
    let event = NewEvent::new("conn.open", 7, NOON).for_endpoints(&both);
    assert_eq!(outbox.put(event).unwrap().await, Ok(7));
    assert_eq!(outbox.put(event.for_endpoints(&both[1..])).unwrap().await, Ok(8));
    let name = ["--endpoint", "a\u{1b}[2Jb"];
    let with = |command: &'static str| [&[command], &name[..]].concat();

    let ids = |arguments: &[&str]| {
        let events = place.json(arguments);
        let pair = |event: &Value| (event["endpoint"].clone(), event["id"].as_u64().unwrap());
        events.iter().map(pair).collect::<Vec<_>>()
    };
    let (pilot, other) = (json!("pilot"), json!(name[1]));
    let all: Vec<_> = [4, 5, 6, 7].into_iter().map(|id| (pilot.clone(), id)).collect();
    let its = vec![(other.clone(), 7), (other.clone(), 8)];
    assert_eq!(ids(&["list"]), [all, its.clone()].concat());
    assert_eq!(ids(&with("list")), its);
    assert_eq!(ids(&["dead"]), [(pilot.clone(), 2), (pilot.clone(), 3)]);
    assert_eq!(ids(&with("dead")), []);
    assert_eq!(ids(&["show", "7"]), [(pilot, 7), (other, 7)]);
    assert!(place.out(&with("list")).starts_with("       7  a\\u{1b}[2Jb  2026-01-15T"));
    // Those that wait, each once, and two dead letters.
    assert_eq!(place.out(&["export"]).lines().count(), 5 + 2);
    assert_eq!(place.out(&with("export")).lines().count(), 2);

    let shown = place.out(&["status"]);
    assert!(row(&shown, "waiting").starts_with("5 events, "), "{shown}");
    assert!(row(&shown, "endpoint").starts_with("pilot: 7 accepted = 1 delivered"), "{shown}");
    assert!(shown.contains("\nendpoint     a\\u{1b}[2Jb: 2 accepted = 0 delivered"), "{shown}");
    let shown = place.out(&with("status"));
    assert_eq!(row(&shown, "endpoint"), "a\\u{1b}[2Jb");
    assert!(row(&shown, "oldest").starts_with("event 7, waits for "), "{shown}");
    let law = "2 accepted = 0 delivered + 0 dead + 0 purged + 0 expired + 0 aged out + 0 dropped + 2 stored";
    assert_eq!(row(&shown, "all events"), law);
    assert_eq!(place.out(&with("verify")), format!("all is well: {law}\n"));
    let status = &place.json(&["status"])[0];
    assert_eq!((&status["events"], &status["stored"]), (&json!(5), &json!(6)));
    let endpoints = status["endpoints"].as_array().unwrap();
    assert_eq!((&endpoints[1]["endpoint"], &endpoints[1]["stored"]), (&json!(name[1]), &json!(2)));

    assert_eq!(place.json(&[&with("replay")[..], &["--all"]].concat())[0]["asked"], 0);
    assert_eq!(place.json(&[&with("purge")[..], &["--all"]].concat())[0]["purged"], 0);
    let done = place.run(&["purge", "2", name[0], name[1]]);
    assert_eq!(
        (done.status, done.err.as_str()),
        (1, "pilot-webhookd: there is no dead letter 2\n")
    );
    for command in [&["status"][..], &["list"], &["dead"], &["verify"], &["replay", "--all"]] {
        let done = place.run(&[command, &["--endpoint", "nobody"]].concat());
        assert_eq!((done.status, done.out.as_str()), (1, ""), "{command:?}");
        assert!(done.err.contains("endpoint") && done.err.contains("nobody"), "{}", done.err);
    }
    outbox.close().await.unwrap();
}
