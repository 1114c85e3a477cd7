//! A file of an older version: what is in it is there after the upgrade, and goes on.

use std::path::Path;
use std::time::Duration;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, End, Item, NewEvent, Outbox, OutboxEndpoint, OutboxErrorKind, OutboxFile,
    OutboxOptions, PutError,
};
use rusqlite::Connection;

/// The tables of version 1, as they were released, and the step to version 2.
const TABLES_1: &str = include_str!("../../src/outbox/schema_1.sql");
const STEP_2: &str = include_str!("../../src/outbox/schema_2.sql");
/// A life: 9 were accepted, 1 was delivered, 3 wait (one of them was replayed), 3 are dead letters of which two are to be
/// replayed, one was removed by somebody, one became too old.
const LIFE_1: &str = r#"
    PRAGMA application_id = 0x504f4258;
    PRAGMA user_version = 1;
    INSERT INTO events (id, topic, data, node_id, seconds, nanos, origin_id, stored_at, first_id) VALUES
        (8, 'conn.fin', '{"ä":1}', 7, 1768480496, 789000000, -1, 1768480500123, NULL),
        (9, 'a', NULL, 4294967295, -1, 0, NULL, 1768480500124, NULL),
        (11, 'tunnel.up', '[1]', 7, 1768480496, 0, 5, 1768480500125, 3);
    INSERT INTO dead VALUES
        (4, 'a', NULL, 7, 1768480496, 0, NULL, 1768480400000, NULL, 1768480401000, 'rejected', 1, 404, NULL, 'http://h'),
        (6, 'b', '"x"', 7, 1768480496, 0, 6, 1768480400000, NULL, 1768480401000, 'exhausted', 9, NULL, 'refused', ''),
        (10, 'c', '2', 7, 1768480496, 0, NULL, 1768480400000, 1, 1768480401000, 'oversize', 0, NULL, NULL, 'http://h');
    INSERT INTO replays (id) VALUES (4), (6);
    INSERT INTO positions VALUES ('lines', '120', 1768480500000);
    INSERT INTO origins VALUES (8, 7, -1, 1768480496, 789000000), (11, 7, 5, 1768480496, 0);
    UPDATE counters SET value = 11 WHERE name = 'last_id';
    UPDATE counters SET value = 9 WHERE name = 'accepted';
    UPDATE counters SET value = 2 WHERE name IN ('rejected', 'exhausted', 'oversize', 'replayed', 'origins');
    UPDATE counters SET value = 1 WHERE name IN ('delivered', 'purged', 'aged_out');
    UPDATE counters SET value = 7 WHERE name = 'repeats';
    UPDATE counters SET value = 8 + 8 + 1 + 9 + 3 + 3 * 32 WHERE name = 'stored_bytes';
    UPDATE meta SET value = '00000000deadbeef' WHERE name = 'instance';
"#;

/// What came after the step to version 2: one more endpoint, and six events that it waits for. 20 and 22 wait for
/// both.
const LIFE_2: &str = "
    PRAGMA user_version = 2;
    INSERT INTO endpoints (id, name, accepted, stored_bytes) VALUES (2, 'a', 6, 6 * 33);
    INSERT INTO events (id, topic, node_id, seconds, nanos, stored_at, due) VALUES
        (20, 'x', 7, 0, 0, 1768480500123, 2), (21, 'x', 7, 0, 0, 1768480500123, 1), (22, 'x', 7, 0, 0, 1768480500123, 2),
        (24, 'x', 7, 0, 0, 1768480500123, 1), (26, 'x', 7, 0, 0, 1768480500123, 1), (27, 'x', 7, 0, 0, 1768480500123, 1);
    INSERT INTO deliveries VALUES (2, 27), (2, 20), (2, 21), (2, 22), (2, 24), (2, 26), (1, 20), (1, 22);
    UPDATE endpoints SET accepted = accepted + 2, stored_bytes = stored_bytes + 2 * 33 WHERE id = 1;
    UPDATE counters SET value = value + 6 WHERE name = 'events';
    UPDATE counters SET value = value + 6 * 17 + 8 * 16 WHERE name = 'stored_bytes';
    UPDATE counters SET value = 27 WHERE name = 'last_id';
";

fn old(path: &Path, batches: &[&str]) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    batches.iter().for_each(|batch| connection.execute_batch(batch).unwrap());
}

/// What waits for an endpoint.
async fn ids(endpoint: &OutboxEndpoint) -> Vec<u64> {
    endpoint.read(0, 100, usize::MAX).await.unwrap().iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn a_file_of_version_2_has_the_same_deliveries_as_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    old(&path, &[TABLES_1, LIFE_1, "DELETE FROM replays", STEP_2, LIFE_2]);
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let file = OutboxFile::open(&path).unwrap();
    assert_eq!(file.verify().unwrap().problems, [""; 0]);
    assert_eq!(number(&path, "SELECT user_version FROM pragma_user_version"), 3);
    // 8 and 9, 11, 20, 22; 20 to 22, 24, 26 and 27.
    assert_eq!(number(&path, "SELECT count(*) FROM deliveries"), 4 + 3);
    assert_eq!(number(&path, "SELECT count(*) FROM waiting WHERE endpoint = 'a'"), 6);
    let (pilot, a) = (outbox.pilot(), outbox.endpoint("a").unwrap());
    assert_eq!(ids(&pilot).await, [8, 9, 11, 20, 22]);
    assert_eq!(ids(&a).await, [20, 21, 22, 24, 26, 27]);
    // What ends, first, last and between, and what comes.
    [22, 21, 27, 11, 8].into_iter().for_each(|id| a.end(id, End::Delivered));
    [20, 9].into_iter().for_each(|id| pilot.end(id, End::Delivered));
    let both = [pilot.id(), a.id()];
    let new = NewEvent::new("y", 7, Timestamp::UNIX_EPOCH).for_endpoints(&both);
    outbox.put(new).unwrap().await.unwrap();
    assert_eq!(ids(&pilot).await, [8, 11, 22, 28]);
    assert_eq!(ids(&a).await, [20, 24, 26, 28]);
    assert_eq!(file.verify().unwrap().problems, [""; 0]);
    outbox.close().await.unwrap();
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    old(&path, &[TABLES_1, LIFE_1]);
    // Only the live outbox brings it up to date.
    let error = OutboxFile::open(&path).unwrap_err();
    assert!(matches!(error.kind(), OutboxErrorKind::Older), "{error}");
    let size = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH).size();
    let mut options = OutboxOptions::default();
    // There is no room to put back what is to be replayed, yet.
    options.max_bytes = 125 + size - 1;
    let outbox = Outbox::open(&path, options).unwrap();
    assert_eq!(outbox.instance(), 0xdead_beef);
    assert_eq!(outbox.position("lines").unwrap().as_deref(), Some("120"));

    let file = OutboxFile::open(&path).unwrap();
    let found = file.verify().unwrap();
    assert_eq!(found.problems, [""; 0]);
    let law = found.ledger;
    assert_eq!((law.accepted, law.delivered, law.dead, law.stored), (9, 1, 3, 3));
    assert_eq!((law.rejected, law.exhausted, law.oversize, law.replayed), (2, 2, 2, 2));
    assert_eq!((law.purged, law.expired, law.aged_out, law.dropped), (1, 0, 1, 0));
    assert_eq!((law.repeats, law.stored_bytes), (7, 125));
    let status = file.status().unwrap();
    assert_eq!((status.last_id, status.events, status.replays), (11, 3, 2));
    let [pilot] = &status.endpoints[..] else { panic!("{:?}", status.endpoints) };
    assert_eq!((pilot.name.as_str(), pilot.replays), ("pilot", 2));

    let waiting = outbox.pilot().read(0, 10, usize::MAX).await.unwrap();
    let texts: Vec<_> =
        waiting.iter().map(|it| (it.id, it.topic.as_str(), it.data.as_deref())).collect();
    assert_eq!(
        texts,
        [(8, "conn.fin", Some(r#"{"ä":1}"#)), (9, "a", None), (11, "tunnel.up", Some("[1]"))]
    );
    let origins: Vec<_> = waiting.iter().map(|it| (it.origin_id, it.first_id)).collect();
    assert_eq!(origins, [(Some(u64::MAX), None), (None, None), (Some(5), Some(3))]);
    assert_eq!(waiting[0].timestamp, Timestamp::new(1_768_480_496, 789_000_000));
    assert_eq!(waiting[0].stored_at, Timestamp::new(1_768_480_500, 123_000_000));
    assert_eq!((waiting[1].node_id, waiting[1].timestamp), (u32::MAX, Timestamp::new(-1, 0)));

    let letters = file.dead("pilot", 0, 10).unwrap();
    let ids: Vec<_> = letters.iter().map(|it| (it.event.id, it.reason.fate, it.replay)).collect();
    assert_eq!(
        ids,
        [
            (4, DeadFate::Rejected, true),
            (6, DeadFate::Exhausted, true),
            (10, DeadFate::Oversize, false)
        ]
    );
    assert_eq!((letters[0].reason.status, letters[0].reason.url.as_str()), (Some(404), "http://h"));
    assert_eq!(
        (letters[1].reason.attempts, letters[1].reason.error.as_deref()),
        (9, Some("refused"))
    );
    assert_eq!(letters[2].event.first_id, Some(1));

    // And it goes on: what is delivered makes room, what was asked for is put back, what comes again is known.
    outbox.pilot().end(8, End::Delivered);
    assert!(outbox.pilot().changed(11).await);
    while file.status().unwrap().replays > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let back: Vec<_> = outbox.pilot().read(11, 10, usize::MAX).await.unwrap();
    assert_eq!(
        back.iter().map(|it| (it.id, it.first_id)).collect::<Vec<_>>(),
        [(12, Some(4)), (13, Some(6))]
    );
    let again = NewEvent::new("conn.fin", 7, Timestamp::new(1_768_480_496, 789_000_000));
    assert_eq!(outbox.put(again.with_origin_id(u64::MAX)).map(drop), Err(PutError::Full));
    outbox.pilot().end(13, End::Delivered);
    outbox.room(size + 7).await.unwrap();
    let receipt = outbox.put(again.with_origin_id(u64::MAX)).unwrap();
    assert_eq!(receipt.await, Ok(8));
    outbox.close().await.unwrap();
    assert_eq!(file.verify().unwrap().problems, [""; 0]);
    let shown = file.show(12, None).unwrap();
    assert!(matches!(&shown[..], [Item::Waiting { endpoint, .. }] if endpoint == "pilot"));
    // What people look at is there, too.
    assert_eq!(number(&path, "SELECT count(*) FROM waiting WHERE endpoint = 'pilot'"), 3);
    assert_eq!(number(&path, "SELECT count(*) FROM dead_letters WHERE url = 'http://h'"), 1);
    assert_eq!(number(&path, "SELECT user_version FROM pragma_user_version"), 3);
    assert_eq!(number(&path, "SELECT auto_vacuum FROM pragma_auto_vacuum"), 2);
}
