//! An outbox with several endpoints: what is for one is no concern of another.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadReason, End, EndpointBounds, EndpointId, Item, Ledger, NewEvent, Outbox,
    OutboxEndpoint, OutboxErrorKind, OutboxFile, OutboxOptions, PutError, Which,
};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    (directory, path)
}

fn open(path: &Path) -> Outbox {
    Outbox::open(path, OutboxOptions::default()).unwrap()
}

fn event(to: &[EndpointId]) -> NewEvent<'_> {
    NewEvent::new("conn.fin", 7, Timestamp::UNIX_EPOCH).with_data("[1]").for_endpoints(to)
}

fn rejected() -> End {
    End::Dead(Box::new(DeadReason {
        fate: DeadFate::Rejected,
        attempts: 1,
        status: Some(404),
        error: None,
        url: "http://127.0.0.1:9".into(),
    }))
}

async fn flush(outbox: &Outbox) {
    outbox.put_all(&[], None).unwrap().await.unwrap();
}

async fn ids(endpoint: &OutboxEndpoint) -> Vec<u64> {
    let events = endpoint.read(0, usize::MAX, usize::MAX).await.unwrap();
    events.iter().map(|event| event.id).collect()
}

/// Nothing is wrong with the file, and every account obeys the law.
fn verified(path: &Path) -> Ledger {
    let file = OutboxFile::open(path).unwrap();
    let found = file.verify().unwrap();
    assert_eq!(found.problems, [""; 0]);
    for status in file.status().unwrap().endpoints {
        let it = status.ledger;
        let lost = it.purged + it.expired + it.aged_out + it.dropped;
        assert_eq!(it.accepted, it.delivered + it.dead + lost + it.stored, "{}", status.name);
    }
    found.ledger
}

/// As a scrape of metrics reads them, while a client ends events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counters_of_the_file_and_of_its_endpoints_are_of_one_moment() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let looking = outbox.clone();
    let writer = tokio::spawn(async move {
        let endpoint = outbox.endpoint("a").unwrap();
        for _ in 0..200 {
            outbox.put(event(&[endpoint.id()])).unwrap().await.unwrap();
            let id = *ids(&endpoint).await.last().unwrap();
            endpoint.end(id, End::Delivered);
            flush(&outbox).await;
        }
    });
    while !writer.is_finished() {
        let ledgers = looking.ledgers().unwrap();
        let stored = ledgers.endpoints.iter().map(|(_, it)| it.stored).sum::<u64>();
        assert_eq!(ledgers.file.stored, stored);
        assert_eq!(ledgers.file.stored_bytes == 0, stored == 0, "{ledgers:?}");
    }
    writer.await.unwrap();
    assert_eq!(looking.ledgers().unwrap().file.delivered, 200);
}

#[tokio::test]
async fn an_event_is_stored_once_and_goes_when_the_last_endpoint_has_it() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (a, b) = (outbox.endpoint("a").unwrap(), outbox.endpoint("b").unwrap());
    assert_eq!((a.name(), b.name(), outbox.pilot().id()), ("a", "b", EndpointId::PILOT));
    let (both, only) = ([a.id(), b.id()], [b.id()]);
    assert_eq!(outbox.put(event(&both)).unwrap().await, Ok(1));
    assert_eq!(outbox.put(event(&only)).unwrap().await, Ok(2));
    // Each once, however often it is named.
    assert_eq!(outbox.put(event(&[a.id(), a.id()])).unwrap().await, Ok(3));
    assert_eq!(outbox.put(event(&[])).map(drop), Err(PutError::NoEndpoint));
    assert_eq!((ids(&a).await, ids(&b).await), (vec![1, 3], vec![1, 2]));
    assert_eq!(ids(&outbox.pilot()).await, [0; 0]);
    let law = verified(&path);
    assert_eq!((law.accepted, law.stored, law.stored_bytes), (4, 4, 3 * 11 + 3 * 16 + 4 * 16));

    a.end(1, End::Delivered);
    // Only by the endpoint that it waits for, and once.
    a.end(1, rejected());
    a.end(2, End::Delivered);
    flush(&outbox).await;
    assert_eq!((ids(&a).await, ids(&b).await), (vec![3], vec![1, 2]));
    b.end(1, rejected());
    a.end(3, End::Delivered);
    flush(&outbox).await;
    let names: Vec<_> = outbox.oldest().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b"], "nothing waits for another");
    let file = OutboxFile::open(&path).unwrap();
    assert_eq!(file.status().unwrap().events, 1);
    let shown = file.show(1, None).unwrap();
    assert!(matches!(&shown[..], [Item::Dead(letter)] if letter.endpoint == "b"));
    let law = verified(&path);
    assert_eq!((law.accepted, law.delivered, law.dead, law.stored), (4, 2, 1, 1));
    assert_eq!((a.ledger().unwrap().delivered, b.ledger().unwrap().dead), (2, 1));
    let ledgers = outbox.ledgers().unwrap().endpoints;
    assert_eq!(
        ledgers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["pilot", "a", "b"]
    );

    // A restart keeps who waits for what.
    outbox.close().await.unwrap();
    let outbox = open(&path);
    let (a, b) = (outbox.endpoint("a").unwrap(), outbox.endpoint("b").unwrap());
    assert_eq!((a.id(), b.id()), (both[0], both[1]));
    assert_eq!((ids(&a).await, ids(&b).await), (vec![], vec![2]));
}

#[tokio::test]
async fn replays_and_purges_are_those_of_an_endpoint() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (a, b) = (outbox.endpoint("a").unwrap(), outbox.endpoint("b").unwrap());
    let both = [a.id(), b.id()];
    for id in 1..=3 {
        outbox.submit(event(&both)).unwrap();
        flush(&outbox).await;
        a.end(id, rejected());
        b.end(id, rejected());
    }
    flush(&outbox).await;
    assert_eq!((a.dead(), b.dead()), (3, 3));
    let file = OutboxFile::open(&path).unwrap();
    let error = file.purge(Which::All, Some("c")).unwrap_err();
    assert!(matches!(error.kind(), OutboxErrorKind::NoEndpoint(name) if name == "c"), "{error}");
    file.dead("c", 0, 1).unwrap_err();
    assert_eq!(file.purge(Which::Id(1), Some("a")).unwrap(), 1);
    assert_eq!(file.replay(Which::All, Some("b")).unwrap(), 3);
    assert!(b.changed(5).await);
    while file.status().unwrap().replays > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((ids(&a).await, ids(&b).await), (vec![], vec![4, 5, 6]));
    assert_eq!(file.dead("a", 0, 9).unwrap().len(), 2);
    assert_eq!(file.dead("b", 0, 9).unwrap(), []);
    // What the other one did to the file is known, too.
    while (a.dead(), b.dead()) != (2, 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(outbox.ledger_of("a").unwrap(), Some(a.ledger().unwrap()));
    assert_eq!(outbox.ledger_of("c").unwrap(), None, "and there is none now");
    assert_eq!(outbox.ledgers().unwrap().endpoints.len(), 3);
    verified(&path);
}

/// The endpoint that has no room loses what is new for it. The others lose nothing, and sources do not wait.
#[tokio::test]
async fn an_endpoint_whose_backlog_has_reached_its_bound_loses_what_is_new_for_it_alone() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (dead, well) = (outbox.endpoint("dead").unwrap(), outbox.endpoint("well").unwrap());
    let both = [dead.id(), well.id()];
    let share = event(&both[..1]).size();
    let mut bounds = EndpointBounds::default();
    bounds.max_bytes = Some(3 * share);
    dead.set_bounds(bounds);
    for id in 1..=10 {
        assert_eq!(outbox.put(event(&both)).unwrap().await, Ok(id));
        well.end(id, End::Delivered);
    }
    flush(&outbox).await;
    assert_eq!((ids(&dead).await, ids(&well).await), (vec![1, 2, 3], vec![]));
    let law = dead.ledger().unwrap();
    assert_eq!((law.accepted, law.dropped, law.stored, law.stored_bytes), (10, 7, 3, 3 * share));
    assert_eq!(well.ledger().unwrap().delivered, 10);
    // An event that nobody has room for is nowhere, and has an id.
    assert_eq!(outbox.put(event(&both[..1])).unwrap().await, Ok(11));
    dead.end(2, End::Delivered);
    assert_eq!(outbox.put(event(&both[..1])).unwrap().await, Ok(12));
    assert_eq!(ids(&dead).await, [1, 3, 12]);
    let law = verified(&path);
    assert_eq!((law.accepted, law.dropped), (22, 8));
}

#[tokio::test]
async fn ages_are_those_of_an_endpoint() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (short, long) = (outbox.endpoint("short").unwrap(), outbox.endpoint("long").unwrap());
    let both = [short.id(), long.id()];
    outbox.put_all(&vec![event(&both); 1500], None).unwrap().await.unwrap();
    let mut bounds = EndpointBounds::default();
    bounds.max_age = Some(Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(2)).await;
    short.set_bounds(bounds);
    let start = Instant::now();
    while short.ledger().unwrap().aged_out < 1500 {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((ids(&short).await.len(), ids(&long).await.len()), (0, 1500));
    verified(&path);
}

#[tokio::test]
async fn an_endpoint_that_is_removed_takes_nothing_more_and_keeps_its_account() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (gone, stays) = (outbox.endpoint("gone").unwrap(), outbox.endpoint("stays").unwrap());
    let both = [gone.id(), stays.id()];
    outbox.put_all(&vec![event(&both); 2000], None).unwrap().await.unwrap();
    gone.end(1, rejected());
    flush(&outbox).await;
    let error = outbox.remove("nobody").await.unwrap_err();
    assert!(matches!(error.kind(), OutboxErrorKind::NoEndpoint(_)), "{error}");
    outbox.remove("gone").await.unwrap();
    assert_eq!((ids(&gone).await.len(), ids(&stays).await.len()), (0, 2000));
    // A source that does not know it yet.
    assert_eq!(outbox.put(event(&both)).unwrap().await, Ok(2001));
    assert_eq!(outbox.put(event(&both[..1])).unwrap().await, Ok(2002));
    let law = gone.ledger().unwrap();
    assert_eq!((law.accepted, law.purged, law.dead, law.stored), (2002, 2001, 1, 0));
    verified(&path);
    let gone = outbox.endpoint("gone").unwrap();
    assert_eq!(gone.id(), both[0]);
    assert_eq!(outbox.put(event(&both)).unwrap().await, Ok(2003));
    assert_eq!(ids(&gone).await, [2003]);
    outbox.close().await.unwrap();
    outbox.remove("gone").await.unwrap_err();
    outbox.endpoint("new").unwrap_err();
    assert!(!gone.changed(2003).await);
    verified(&path);
}

/// Whoever waits for the events of one endpoint is not woken for those of another.
#[tokio::test]
async fn news_are_those_of_an_endpoint() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (a, b) = (outbox.endpoint("a").unwrap(), outbox.endpoint("b").unwrap());
    outbox.put(event(&[a.id()])).unwrap().await.unwrap();
    assert!(a.changed(0).await);
    let waits = tokio::time::timeout(Duration::from_millis(20), b.changed(0));
    waits.await.unwrap_err();
}

/// By SQLite itself: what is looked up while many events wait is looked up by an index, and sorted by none.
#[tokio::test]
async fn what_is_asked_of_a_large_file_uses_its_indices() {
    let (_directory, path) = place();
    open(&path).close().await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    for sql in [
        "SELECT events.id, topic, failed FROM deliveries
             CROSS JOIN events ON events.id BETWEEN max(first, ?2 + 1) AND last
             LEFT JOIN attempts ON attempts.endpoint = ?1 AND event = events.id
         WHERE deliveries.endpoint = ?1 AND last > ?2 ORDER BY last, events.id LIMIT ?3",
        "SELECT first, last FROM deliveries WHERE endpoint = ?1 ORDER BY last LIMIT 1",
        "SELECT first, last FROM deliveries WHERE endpoint = ?1 AND last >= ?2 ORDER BY last",
        "UPDATE deliveries SET last = ?3 WHERE endpoint = ?1 AND last = ?2 - 1",
        "UPDATE deliveries SET first = ?3 WHERE endpoint = ?1 AND last = ?2",
        "DELETE FROM deliveries WHERE endpoint = ?1 AND last = ?2",
        "SELECT count(*), sum(due = 1) FROM events WHERE id BETWEEN ?1 AND ?2",
        "DELETE FROM events WHERE id BETWEEN ?1 AND ?2 AND due = 1",
        "UPDATE events SET due = due - 1 WHERE id BETWEEN ?1 AND ?2",
        "DELETE FROM dead WHERE endpoint = ?1 AND id IN
         (SELECT id FROM dead WHERE endpoint = ?1 ORDER BY id LIMIT ?2)",
        "SELECT id FROM dead WHERE endpoint = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    ] {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let any = rusqlite::params_from_iter(vec![1; plan.parameter_count()]);
        let steps = plan.query_map(any, |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(!steps.is_empty());
        for step in steps {
            assert!(!step.contains("SCAN") && !step.contains("TEMP B-TREE"), "{sql}: {step}");
        }
    }
}

/// A thousand endpoints with a long backlog, and one that is read and ended meanwhile.
#[tokio::test]
async fn a_thousand_backlogs_do_not_slow_one_endpoint() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let all: Vec<_> = (0..1000)
        .map(|number| outbox.endpoint(&format!("endpoint {number}")).unwrap().id())
        .collect();
    // Half a million deliveries, of which the one endpoint has the last.
    for part in all.chunks(100) {
        outbox.put_all(&[event(part); 500], None).unwrap().await.unwrap();
    }
    let last = outbox.endpoint("endpoint 999").unwrap();
    let start = Instant::now();
    for _ in 0..50 {
        let events = last.read(0, 10, usize::MAX).await.unwrap();
        assert_eq!(events.len(), 10);
        events.iter().for_each(|event| last.end(event.id, End::Delivered));
        flush(&outbox).await;
    }
    assert_eq!(ids(&last).await, [0; 0]);
    println!("500 read and ended in {:?}", start.elapsed());
    let law = last.ledger().unwrap();
    assert_eq!((law.accepted, law.delivered), (500, 500));
    let law = outbox.ledger().unwrap();
    assert_eq!((law.accepted, law.stored), (500_000, 499_500));
    outbox.close().await.unwrap();
    verified(&path);
}

/// What ends in a row is written at once. What lies between and waits for another, or has ended before, is left alone.
#[tokio::test]
async fn ends_in_a_row_end_nothing_else() {
    let (_directory, path) = place();
    let outbox = open(&path);
    let (a, b) = (outbox.endpoint("a").unwrap(), outbox.endpoint("b").unwrap());
    let both = [a.id(), b.id()];
    let (only_a, only_b) = (&both[..1], &both[1..]);
    let events = [only_a, &both, only_b, only_a, &both, only_a, only_a, only_a].map(event);
    outbox.put_all(&events, None).unwrap().await.unwrap();
    a.end(7, End::Delivered);
    a.end(8, rejected());
    flush(&outbox).await;
    // In any order, more than once, and what was told first counts.
    for id in [5, 4, 3, 2, 1, 9, 8, 7, 4] {
        a.end(id, End::Delivered);
    }
    a.end(6, rejected());
    a.end(6, End::Delivered);
    flush(&outbox).await;
    assert_eq!((ids(&a).await, ids(&b).await), (vec![], vec![2, 3, 5]));
    let law = a.ledger().unwrap();
    assert_eq!((law.accepted, law.delivered, law.rejected), (7, 5, 2));
    verified(&path);
    (2..=5).for_each(|id| b.end(id, End::Delivered));
    flush(&outbox).await;
    let law = verified(&path);
    assert_eq!((law.stored, law.stored_bytes, law.delivered), (0, 0, 8));
}
