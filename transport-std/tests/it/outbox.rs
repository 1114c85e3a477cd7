//! The outbox: what it takes, what it gives back, and what people can do with its file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadLetter, DeadReason, End, Item, NewEvent, Outbox, OutboxError, OutboxFile,
    OutboxOptions, Position, PutError, Stored, Which,
};
use tempfile::TempDir;

const NOON: Timestamp = Timestamp::new(1_768_480_496, 789_000_000);

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    (directory, path)
}

fn open(path: &PathBuf) -> Outbox {
    Outbox::open(path, OutboxOptions::default()).unwrap()
}

fn event(topic: &str) -> NewEvent<'_> {
    NewEvent::new(topic, 7, NOON)
}

fn dead(fate: DeadFate) -> End {
    End::Dead(Box::new(DeadReason {
        fate,
        attempts: 5,
        status: Some(503),
        error: None,
        url: "http://127.0.0.1:9/hook".into(),
    }))
}

/// Nothing is wrong with the file, and the sum of its counters is as expected.
fn verified(path: &PathBuf) -> pilot_webhook_std::outbox::Ledger {
    let found = OutboxFile::open(path).unwrap().verify().unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    let it = found.ledger;
    let sum =
        it.delivered + it.dead + it.purged + it.expired + it.aged_out + it.dropped + it.stored;
    assert_eq!(it.accepted, sum, "{it}");
    it
}

/// What another task does shows within the time that everything here takes at most.
async fn soon(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "it did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_event_comes_back_as_it_was_put_also_after_a_restart() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let instance = outbox.instance();
    let put = event("conn.fin").with_data(r#"{"ä":1}"#).with_origin_id(u64::MAX);
    assert_eq!(outbox.put(put).unwrap().await, Ok(1));
    assert_eq!(
        outbox.put(NewEvent::new("", u32::MAX, Timestamp::UNIX_EPOCH)).unwrap().await,
        Ok(2)
    );
    outbox.close().await.unwrap();

    let outbox = open(&path);
    assert_eq!(outbox.instance(), instance);
    let events = outbox.pilot().read(0, 10, usize::MAX).await.unwrap();
    let [first, second] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((first.id, first.topic.as_str(), first.node_id), (1, "conn.fin", 7));
    assert_eq!((first.data.as_deref(), first.timestamp), (Some(r#"{"ä":1}"#), NOON));
    assert_eq!((first.origin_id, first.first_id), (Some(u64::MAX), None));
    assert_eq!((second.id, second.topic.as_str(), second.data.as_ref()), (2, "", None));
    assert_eq!((second.node_id, second.timestamp), (u32::MAX, Timestamp::UNIX_EPOCH));
    assert_eq!(
        outbox.pilot().read(0, 10, 1).await.unwrap().len(),
        1,
        "the first one, however long"
    );
    assert_eq!(outbox.pilot().read(2, 10, 9).await.unwrap(), []);
}

#[tokio::test]
async fn ids_go_on_after_the_highest_one_is_gone() {
    let (_directory, path) = place();
    let outbox = open(&path);
    assert_eq!(outbox.put(event("a")).unwrap().await, Ok(1));
    outbox.pilot().end(1, End::Delivered);
    outbox.close().await.unwrap();
    let outbox = open(&path);
    assert_eq!(outbox.put(event("b")).unwrap().await, Ok(2));
    assert_eq!(verified(&path).delivered, 1);
}

#[tokio::test]
async fn a_unit_is_stored_with_its_position() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let at = |text| Some(Position { source: "lines", text });
    let unit = outbox.put_all(&[event("a"), event("b")], at("2")).unwrap();
    assert_eq!(unit.await, Ok(vec![1, 2]));
    assert_eq!(outbox.put_all(&[], at("3")).unwrap().await, Ok(vec![]));
    assert_eq!(outbox.position("lines").unwrap().as_deref(), Some("3"));
    assert_eq!(outbox.position("others").unwrap(), None);
}

#[tokio::test]
async fn what_nobody_waits_for_is_stored_too() {
    let (_directory, path) = place();
    let outbox = open(&path);
    outbox.submit(event("a")).unwrap();
    drop(outbox.put(event("b")).unwrap());
    assert!(outbox.pilot().changed(1).await);
    assert_eq!(verified(&path).stored, 2);
    // One handle of two closes nothing when it is dropped.
    drop(outbox.clone());
    outbox.submit(event("c")).unwrap();
    outbox.close().await.unwrap();
    assert_eq!(outbox.put(event("d")).unwrap_err(), PutError::Closed);
    assert!(!outbox.pilot().changed(3).await);
    outbox.pilot().read(0, 1, 1).await.unwrap_err();
    assert_eq!(verified(&path).stored, 3);
}

#[tokio::test]
async fn an_event_of_an_origin_is_stored_once() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let first = event("a").with_origin_id(1);
    let mut later = first;
    later.timestamp = Timestamp::new(NOON.seconds() + 1, 0);
    let mut elsewhere = first;
    elsewhere.node_id = 8;
    // Also when the repetition comes before the commit.
    let unit = outbox.put_all(&[first, first, later, elsewhere], None).unwrap();
    assert_eq!(unit.await, Ok(vec![1, 1, 2, 3]));
    outbox.pilot().end(1, End::Delivered);
    outbox.close().await.unwrap();
    let outbox = open(&path);
    assert_eq!(outbox.put(first).unwrap().await, Ok(1));
    assert_eq!(outbox.put(event("a")).unwrap().await, Ok(4), "without an origin nothing repeats");
    let ledger = verified(&path);
    assert_eq!((ledger.accepted, ledger.repeats, ledger.stored), (4, 2, 3));
}

/// What is remembered of origins is bounded: the oldest are forgotten.
#[tokio::test]
async fn the_newest_origins_are_known() {
    let (_directory, path) = place();
    let outbox = open(&path);
    for unit in 0..41_u64 {
        let events: Vec<_> =
            (0..2500).map(|number| event("a").with_origin_id(unit * 2500 + number)).collect();
        outbox.put_all(&events, None).unwrap().await.unwrap();
    }
    let again = |origin| outbox.put(event("a").with_origin_id(origin)).unwrap();
    // 102,500 were stored, so that the first 2,500 are forgotten.
    assert_eq!(again(2500).await, Ok(2501));
    assert_eq!(again(2499).await, Ok(102_501));
    assert_eq!(again(2500).await, Ok(102_502), "one more was forgotten");
    outbox.close().await.unwrap();
    assert_eq!(verified(&path).repeats, 1);
}

#[tokio::test]
async fn room_is_counted_in_bytes_and_waited_for() {
    let (_directory, path) = place();
    let size = event("a").size();
    let mut options = OutboxOptions::default();
    options.max_bytes = 2 * size;
    let outbox = Outbox::open(&path, options).unwrap();
    outbox.submit(event("a")).unwrap();
    let second = outbox.put(event("b")).unwrap();
    // What is on its way to the disk counts.
    assert_eq!(outbox.submit(event("c")), Err(PutError::Full));
    let long = "x".repeat(100);
    assert_eq!(outbox.submit(event(&long)), Err(PutError::TooLarge));
    assert_eq!(outbox.room(event(&long).size()).await, Err(PutError::TooLarge));
    second.await.unwrap();
    assert_eq!(outbox.submit(event("c")), Err(PutError::Full));
    let (room, ()) =
        tokio::join!(outbox.room(size), async { outbox.pilot().end(1, End::Delivered) });
    assert_eq!(room, Ok(()));
    assert_eq!(outbox.put(event("c")).unwrap().await, Ok(3));
    // A repetition takes no room.
    outbox.pilot().end(2, End::Delivered);
    outbox.room(size).await.unwrap();
    outbox.close().await.unwrap();
    assert_eq!(outbox.room(size).await, Err(PutError::Closed));
    let outbox = Outbox::open(&path, options).unwrap();
    outbox.put(event("d")).unwrap().await.unwrap();
    assert_eq!(outbox.submit(event("e")), Err(PutError::Full));
    assert_eq!(verified(&path).stored_bytes, 2 * size);
}

#[tokio::test]
async fn what_is_not_delivered_is_a_dead_letter_and_the_oldest_give_way() {
    let (_directory, path) = place();
    let mut options = OutboxOptions::default();
    options.dead_max = 2;
    let outbox = Outbox::open(&path, options).unwrap();
    for topic in ["a", "b", "c", "d"] {
        outbox.put(event(topic).with_data("[1]")).unwrap().await.unwrap();
    }
    for (id, fate) in [(1, DeadFate::Rejected), (2, DeadFate::Exhausted), (3, DeadFate::Oversize)] {
        outbox.pilot().end(id, dead(fate));
        outbox.pilot().end(id, dead(fate));
        outbox.pilot().end(id, End::Delivered);
    }
    outbox.close().await.unwrap();
    let file = OutboxFile::open(&path).unwrap();
    let letters = file.dead("pilot", 0, 10).unwrap();
    assert_eq!(letters.iter().map(|letter| letter.event.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(End::Dead(Box::new(letters[0].reason.clone())), dead(DeadFate::Exhausted));
    assert_eq!(letters[0].event.data.as_deref(), Some("[1]"));
    let ledger = verified(&path);
    assert_eq!((ledger.rejected, ledger.exhausted, ledger.oversize), (1, 1, 1));
    assert_eq!((ledger.expired, ledger.dead, ledger.stored), (1, 2, 1));
}

#[tokio::test]
async fn a_live_outbox_notices_replays_and_purges() {
    let (_directory, path) = place();
    let outbox = open(&path);
    for topic in ["tunnel.up", "tunnel?up", "conn.fin"] {
        outbox.put(event(topic)).unwrap().await.unwrap();
    }
    (1..=3).for_each(|id| outbox.pilot().end(id, dead(DeadFate::Rejected)));
    let file = OutboxFile::open(&path).unwrap();
    soon(|| file.dead("pilot", 0, 9).unwrap().len() == 3).await;
    assert!(file.status().unwrap().is_live);

    assert_eq!(file.replay(Which::Topic("tunnel?*"), None).unwrap(), 1, "only the star is special");
    let asked = Instant::now();
    assert!(outbox.pilot().changed(3).await);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let again = outbox.pilot().read(3, 9, 999).await.unwrap();
    assert_eq!(
        (again[0].id, again[0].topic.as_str(), again[0].first_id),
        (4, "tunnel?up", Some(2))
    );
    // A second time it keeps its first id.
    outbox.pilot().end(4, dead(DeadFate::Exhausted));
    soon(|| file.dead("pilot", 3, 9).unwrap().len() == 1).await;
    assert_eq!(file.replay(Which::Id(4), None).unwrap(), 1);
    assert!(outbox.pilot().changed(4).await);
    assert_eq!(outbox.pilot().read(4, 9, 999).await.unwrap()[0].first_id, Some(2));

    assert_eq!(file.purge(Which::Id(1), None).unwrap(), 1);
    assert_eq!(file.purge(Which::All, None).unwrap(), 1);
    assert_eq!(file.purge(Which::All, None).unwrap(), 0);
    let ledger = verified(&path);
    assert_eq!((ledger.accepted, ledger.replayed, ledger.purged), (3, 2, 2));
    assert_eq!((ledger.dead, ledger.stored), (0, 1));
}

#[tokio::test]
async fn replays_of_a_stopped_file_are_done_at_the_next_start_as_there_is_room() {
    let (_directory, path) = place();
    let size = event("a").size();
    let outbox = open(&path);
    for _ in 0..3 {
        outbox.submit(event("a")).unwrap();
    }
    assert!(outbox.pilot().changed(2).await);
    (1..=3).for_each(|id| outbox.pilot().end(id, dead(DeadFate::Exhausted)));
    outbox.close().await.unwrap();
    let file = OutboxFile::open(&path).unwrap();
    assert_eq!(file.replay(Which::All, None).unwrap(), 3);
    assert_eq!(file.replay(Which::All, None).unwrap(), 0);
    let status = file.status().unwrap();
    assert!(!status.is_live);
    assert_eq!((status.replays, status.last_id, status.oldest), (3, 3, None));
    assert!(file.dead("pilot", 0, 1).unwrap()[0].replay);
    assert_eq!(file.purge(Which::Id(1), None).unwrap(), 1);
    assert_eq!(file.status().unwrap().replays, 2, "what is gone is not asked for any more");

    let mut options = OutboxOptions::default();
    options.max_bytes = size;
    let outbox = Outbox::open(&path, options).unwrap();
    assert!(outbox.pilot().changed(3).await);
    assert_eq!(file.status().unwrap().replays, 1);
    outbox.pilot().end(4, End::Delivered);
    assert!(outbox.pilot().changed(4).await);
    assert_eq!(verified(&path).stored, 1);
}

#[tokio::test]
async fn events_that_are_too_old_are_a_named_loss() {
    let (_directory, path) = place();
    let mut options = OutboxOptions::default();
    let outbox = Outbox::open(&path, options).unwrap();
    for _ in 0..1500 {
        outbox.submit(event("a")).unwrap();
    }
    outbox.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    options.max_age = Some(Duration::from_millis(1));
    let outbox = Outbox::open(&path, options).unwrap();
    soon(|| outbox.ledger().unwrap().aged_out == 1500).await;
    // One that is still in somebody's hands is not counted again.
    outbox.pilot().end(7, End::Delivered);
    outbox.close().await.unwrap();
    let ledger = verified(&path);
    assert_eq!((ledger.delivered, ledger.stored, ledger.stored_bytes), (0, 0, 0));
}

#[tokio::test]
async fn the_file_shows_and_hands_out_what_is_in_it() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let events = vec![event("a"); 1200];
    outbox.put_all(&events, None).unwrap().await.unwrap();
    outbox.pilot().end(2, dead(DeadFate::Rejected));
    outbox.pilot().end(3, End::Delivered);
    outbox.close().await.unwrap();
    let file = OutboxFile::open(&path).unwrap();
    assert!(
        matches!(&*file.show(1, None).unwrap(), [Item::Waiting { event, .. }] if event.id == 1)
    );
    assert!(matches!(&*file.show(2, None).unwrap(), [Item::Dead(letter)] if letter.event.id == 2));
    assert_eq!(file.show(3, None).unwrap(), []);
    let mut ids = Vec::new();
    let keep = |event: Stored| {
        ids.push(event.id);
        Ok::<(), OutboxError>(())
    };
    file.each_event(keep).unwrap();
    assert_eq!(ids, [1].into_iter().chain(4..=1200).collect::<Vec<_>>());
    let mut dead = Vec::new();
    let keep = |letter: DeadLetter| {
        dead.push(letter.event.id);
        Ok::<(), OutboxError>(())
    };
    file.each_dead(None, keep).unwrap();
    assert_eq!(dead, [2]);
    assert_eq!(file.list("pilot", 5, 2).unwrap().iter().map(|e| e.id).collect::<Vec<_>>(), [6, 7]);
}

/// The outbox is emptied; a file that has grown gets smaller, and its log does.
#[tokio::test]
async fn the_file_is_small_again_after_an_outage() {
    let (directory, path) = place();
    let outbox = open(&path);
    let data = format!("\"{}\"", "x".repeat(1000));
    let mut last = 0;
    for _ in 0..320 {
        let events = vec![event("a").with_data(&data); 64];
        last = *outbox.put_all(&events, None).unwrap().await.unwrap().last().unwrap();
    }
    let length = || std::fs::metadata(&path).unwrap().len();
    for id in 1..=last {
        outbox.pilot().end(id, End::Delivered);
    }
    soon(|| outbox.ledger().unwrap().stored == 0).await;
    soon(|| length() < 8 << 20).await;
    let log = std::fs::metadata(directory.path().join("events.db-wal")).unwrap().len();
    assert!(log <= 8 << 20, "{log}");
    outbox.close().await.unwrap();
    verified(&path);
}
