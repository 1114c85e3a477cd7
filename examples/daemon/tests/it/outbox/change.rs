//! The commands that change the file.

use std::time::Duration;

use pilot_webhook_std::outbox::{Outbox, OutboxFile, Stored};
use serde_json::json;
use tokio::time::timeout;

use super::place::Place;

/// What comes after the id `after`. Arbitrary patience, and far more than it takes.
async fn next(outbox: &Outbox, after: u64) -> Vec<Stored> {
    let changed = timeout(Duration::from_secs(30), outbox.pilot().changed(after)).await;
    assert!(changed.unwrap());
    outbox.pilot().read(after, 10, usize::MAX).await.unwrap()
}

#[tokio::test]
async fn a_live_daemon_notices_a_replay() {
    let place = Place::new();
    let outbox = place.filled().await;
    assert_eq!(
        place.out(&["replay", "2"]),
        "1 dead letter to be replayed: the daemon does it as soon as it has room\n"
    );
    let came = next(&outbox, 6).await;
    assert_eq!((came[0].id, came[0].first_id, came[0].topic.as_str()), (7, Some(2), "conn.lost"));
    assert_eq!(place.json(&["list"])[3]["first_id"], 2);
    assert_eq!(place.json(&["replay", "--all"]), [json!({"asked": 1, "live": true})]);
    assert_eq!(next(&outbox, 7).await[0].topic, "peer.lost");
    outbox.close().await.unwrap();
}

#[tokio::test]
async fn a_replay_of_a_stopped_file_waits_for_the_next_daemon() {
    let place = Place::stopped().await;
    let first = place.out(&["replay", "--topic", "conn.*"]);
    assert_eq!(first, "1 dead letter to be replayed: the next daemon on this file does it\n");
    let nothing = "nothing to replay that was not asked for before\n";
    assert_eq!(place.out(&["replay", "2"]), nothing);
    assert_eq!(place.out(&["replay", "--topic", "conn"]), nothing);
    assert_eq!(place.json(&["replay", "--topic", "*"]), [json!({"asked": 1, "live": false})]);
    assert_eq!(place.json(&["status"])[0]["replays"], 2);
    assert!(place.out(&["dead"]).lines().all(|line| line.contains("/hook, to be replayed  ")));
    assert!(place.json(&["dead"]).iter().all(|letter| letter["replay"] == true));
    let outbox = place.open();
    next(&outbox, 6).await;
    next(&outbox, 7).await;
    assert_eq!(place.out(&["dead"]), "");
    outbox.close().await.unwrap();
}

#[tokio::test]
async fn dead_letters_are_removed_for_good_on_a_live_and_on_a_stopped_file() {
    let place = Place::new();
    let outbox = place.filled().await;
    assert_eq!(place.out(&["purge", "2"]), "1 dead letter removed\n");
    outbox.close().await.unwrap();
    assert_eq!(place.out(&["purge", "--topic", "conn.*"]), "0 dead letters removed\n");
    assert_eq!(place.json(&["purge", "--all"]), [json!({"purged": 1})]);
    assert_eq!(place.out(&["dead"]), "");
    // What waits stays.
    assert_eq!(place.json(&["list"]).len(), 3);
    let found = OutboxFile::open(&place.path).unwrap().verify().unwrap();
    assert!(found.problems.is_empty());
    assert_eq!((found.ledger.purged, found.ledger.dead), (2, 0));
}

#[tokio::test]
async fn what_waits_for_an_endpoint_is_removed_when_that_is_meant() {
    let place = Place::new();
    let outbox = place.filled().await;
    let purge = ["purge", "--waiting", "--endpoint", "pilot"];
    let refused = place.run(&purge);
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("a daemon has the file"), "{}", refused.err);
    assert_eq!(place.json(&["list"]).len(), 3);
    assert_eq!(place.out(&[&purge[..], &["--anyway"]].concat()), "3 events removed that waited\n");
    // The live outbox notices.
    for _ in 0..2_000 {
        if outbox.pilot().waiting() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(outbox.pilot().waiting(), 0);
    outbox.close().await.unwrap();
    // A command that another test starts has the lock, too, until it is another program.
    let file = OutboxFile::open(&place.path).unwrap();
    while file.status().unwrap().is_live {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(place.json(&purge), [json!({"purged": 0})], "nobody has the file");
    assert_eq!(place.json(&["dead"]).len(), 2, "dead letters stay");
    let found = file.verify().unwrap();
    assert!(found.problems.is_empty());
    assert_eq!((found.ledger.purged, found.ledger.stored_bytes), (3, 0));
    for wrong in [&["purge", "--waiting"][..], &["purge", "--all", "--anyway"]] {
        assert_eq!(place.run(wrong).status, 2, "{wrong:?}");
    }
    let unknown = place.run(&["purge", "--waiting", "--endpoint", "none"]);
    assert_eq!(unknown.status, 1);
}

/// That nothing stands for everything would be dangerous.
#[tokio::test]
async fn without_a_selection_or_with_two_nothing_happens() {
    let place = Place::stopped().await;
    let before = place.json(&["dead"]);
    for command in ["purge", "replay"] {
        let done = place.run(&[command]);
        let says = format!(
            "pilot-webhookd: {command} needs to know which dead letters: an ID, --topic GLOB or --all \
             (see --help)\n"
        );
        assert_eq!((done.status, done.err), (2, says));
        for two in [&["2", "--all"][..], &["2", "--topic", "*"], &["--all", "--topic", "*"]] {
            let done = place.run(&[&[command], two].concat());
            assert_eq!((done.status, done.out.as_str()), (2, ""));
            assert!(done.err.contains("cannot be used with"), "{}", done.err);
        }
        for (id, says) in [
            ("5", "event 5 waits, and is no dead letter (see --waiting)"),
            ("1", "there is no dead letter 1"),
        ] {
            let done = place.run(&[command, id]);
            assert_eq!((done.status, done.err), (1, format!("pilot-webhookd: {says}\n")));
        }
    }
    assert_eq!(place.json(&["dead"]), before);
}
