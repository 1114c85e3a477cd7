//! The outbox against a plain map, through whatever happens to it.

mod model;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadReason, End, EndpointBounds, EndpointId, NewEvent, Outbox, OutboxEndpoint,
    OutboxError, OutboxFile, OutboxOptions, Position, Stored,
};
use proptest::prelude::*;

use self::model::{Event, Model, Table};

const TOPICS: [&str; 4] = ["conn.fin", "conn.syn", "tunnel.up", ""];
const FATES: [DeadFate; 3] = [DeadFate::Rejected, DeadFate::Exhausted, DeadFate::Oversize];
const DEAD_MAX: usize = 4;
/// The last one has a bound, in bytes.
const NAMES: [&str; 3] = ["pilot", "b", "c"];
const BOUND: u64 = 8000;

#[derive(Clone, Copy, Debug)]
struct Put {
    topic: usize,
    length: Option<usize>,
    origin: Option<u64>,
    second: i64,
    /// The endpoints that it is for, a bit each; at least one.
    to: usize,
}

/// Some of the dead letters.
#[derive(Clone, Copy, Debug)]
enum Letters {
    All,
    Nth(usize),
    Conn,
}

#[derive(Clone, Debug)]
enum Op {
    /// As one unit, with a position, and the receipt awaited.
    PutAll(Vec<Put>),
    /// Each alone, without a receipt.
    Submit(Vec<Put>),
    /// The n-th of the ids that were ever given, from the back, for one endpoint.
    End { nth: usize, endpoint: usize, fate: Option<usize> },
    /// Of one endpoint, or of all.
    Purge(Letters, Option<usize>),
    /// Closed, replays asked for, opened.
    Reopen(Option<(Letters, Option<usize>)>),
    /// An endpoint is removed, and is there again.
    Remove(usize),
    /// What waits for an endpoint is removed, beside the live outbox.
    PurgeWaiting(usize),
    /// The handle dropped, and opened when the file is free.
    Drop,
}

fn op() -> impl Strategy<Value = Op> {
    let put = (
        0..4_usize,
        prop::option::of(2..5000_usize),
        prop::option::of(0..4_u64),
        0..2_i64,
        1..8_usize,
    )
        .prop_map(|(topic, length, origin, second, to)| Put {
            topic,
            length,
            origin,
            second,
            to,
        });
    let puts = prop::collection::vec(put, 0..6);
    let one = prop::option::of(0..3_usize);
    let some =
        prop_oneof![Just(Letters::All), (0..8_usize).prop_map(Letters::Nth), Just(Letters::Conn)];
    prop_oneof![
        3 => puts.clone().prop_map(Op::PutAll),
        3 => puts.prop_map(Op::Submit),
        16 => (0..12_usize, 0..3_usize, prop::option::of(0..3_usize))
            .prop_map(|(nth, endpoint, fate)| Op::End { nth, endpoint, fate }),
        1 => (some.clone(), one.clone()).prop_map(|(some, one)| Op::Purge(some, one)),
        2 => prop::option::of((some, one)).prop_map(Op::Reopen),
        1 => (0..3_usize).prop_map(Op::Remove),
        1 => (0..3_usize).prop_map(Op::PurgeWaiting),
        1 => Just(Op::Drop),
    ]
}

fn open(path: &Path) -> Outbox {
    let mut options = OutboxOptions::default();
    options.dead_max = DEAD_MAX as u64;
    let outbox = Outbox::open(path, options).unwrap();
    let mut bounds = EndpointBounds::default();
    bounds.max_bytes = Some(BOUND);
    // Of dead letters of one event the first endpoint's is put back first.
    ids(&outbox);
    endpoint(&outbox, 2).set_bounds(bounds);
    outbox
}

fn endpoint(outbox: &Outbox, index: usize) -> OutboxEndpoint {
    outbox.endpoint(NAMES[index]).unwrap()
}

fn ids(outbox: &Outbox) -> [EndpointId; 3] {
    [0, 1, 2].map(|index| endpoint(outbox, index).id())
}

/// Everything that was handed in before is on disk.
async fn flush(outbox: &Outbox) {
    outbox.put_all(&[], None).unwrap().await.unwrap();
}

fn dead(fate: DeadFate) -> End {
    let reason = DeadReason {
        fate,
        attempts: 3,
        status: None,
        error: Some("refused".into()),
        url: "http://h/".into(),
    };
    End::Dead(Box::new(reason))
}

/// The file says what the model says.
async fn compare(outbox: &Outbox, path: &Path, model: &Model) {
    flush(outbox).await;
    let of = |event: &Stored| Event {
        topic: TOPICS.into_iter().find(|topic| *topic == event.topic).unwrap(),
        data: event.data.clone(),
        origin: event.origin_id,
        second: event.timestamp.seconds(),
        first_id: event.first_id,
    };
    let file = OutboxFile::open(path).unwrap();
    let (mut stored, mut dead) = (Table::new(), Table::new());
    for (index, name) in NAMES.into_iter().enumerate() {
        let endpoint = endpoint(outbox, index);
        // In pages, as the engine reads.
        let mut after = 0;
        loop {
            let page = endpoint.read(after, 3, 6000).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.is_sorted_by_key(|event| event.id) && page[0].id > after);
            after = last.id;
            stored.extend(page.iter().map(|event| ((index, event.id), of(event))));
        }
        for letter in file.dead(name, 0, usize::MAX).unwrap() {
            assert_eq!(letter.endpoint, name);
            dead.insert((index, letter.event.id), (of(&letter.event), letter.reason.fate));
        }
        assert_eq!(endpoint.ledger().unwrap(), model.ledger(index), "{name}");
    }
    assert_eq!((&stored, &dead), (&model.stored, &model.dead));
    let found = file.verify().unwrap();
    assert_eq!((found.ledger, found.problems), (model.file(), vec![]));
    let mut once = Vec::new();
    let keep = |event: Stored| {
        once.push(event.id);
        Ok::<(), OutboxError>(())
    };
    file.each_event(keep).unwrap();
    let events: BTreeSet<u64> = stored.keys().map(|(_, id)| *id).collect();
    assert_eq!(once, events.iter().copied().collect::<Vec<_>>());
    assert_eq!(file.status().unwrap().events, once.len() as u64);
    assert_eq!(file.status().unwrap().last_id, model.last_id);
    assert_eq!(outbox.position("s").unwrap(), model.position);
}

async fn play(ops: Vec<Op>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let mut outbox = open(&path);
    let instance = outbox.instance();
    let mut model = Model::default();
    let ids = ids(&outbox);
    for (step, op) in ops.into_iter().enumerate() {
        match op {
            Op::PutAll(puts) | Op::Submit(puts) if puts.is_empty() => flush(&outbox).await,
            Op::PutAll(puts) => {
                let texts: Vec<_> = puts.iter().map(data).collect();
                let to: Vec<_> = puts.iter().map(|put| to(put, ids)).collect();
                let events: Vec<_> = puts
                    .iter()
                    .zip(&texts)
                    .zip(&to)
                    .map(|((put, text), to)| new(put, text).for_endpoints(to))
                    .collect();
                let text = step.to_string();
                let at = Position { source: "s", text: &text };
                let given = outbox.put_all(&events, Some(at)).unwrap().await.unwrap();
                let expected: Vec<u64> = puts
                    .iter()
                    .zip(texts)
                    .map(|(put, text)| model.put(&event(put, text), put.to))
                    .collect();
                assert_eq!(given, expected);
                model.position = Some(text);
            }
            Op::Submit(puts) => {
                for put in &puts {
                    let text = data(put);
                    outbox.submit(new(put, &text).for_endpoints(&to(put, ids))).unwrap();
                    model.put(&event(put, text), put.to);
                }
                // An id that nobody knows yet cannot be ended.
                flush(&outbox).await;
            }
            Op::End { nth, endpoint: index, fate } => {
                let id = model.last_id.saturating_sub(nth as u64);
                let end = fate.map_or(End::Delivered, |fate| dead(FATES[fate]));
                endpoint(&outbox, index).end(id, end);
                model.end(index, id, fate);
            }
            Op::Purge(some, one) => {
                flush(&outbox).await;
                let (which, keys) = model.which(some, one);
                let name = one.map(|one| NAMES[one]);
                let purged = OutboxFile::open(&path).unwrap().purge(which, name).unwrap();
                assert_eq!(purged, keys.len() as u64);
                model.purge(&keys);
            }
            Op::Remove(index) => {
                // What is handed in before is stored before.
                flush(&outbox).await;
                outbox.remove(NAMES[index]).await.unwrap();
                model.remove(index);
                assert_eq!(endpoint(&outbox, index).waiting(), 0);
            }
            Op::PurgeWaiting(index) => {
                flush(&outbox).await;
                let file = OutboxFile::open(&path).unwrap();
                let waiting = model.ledger(index).stored;
                assert_eq!(file.purge_waiting(NAMES[index]).unwrap(), waiting);
                model.remove(index);
            }
            Op::Reopen(some) => {
                outbox.close().await.unwrap();
                let file = OutboxFile::open(&path).unwrap();
                if let Some((some, one)) = some {
                    let (which, keys) = model.which(some, one);
                    let name = one.map(|one| NAMES[one]);
                    assert_eq!(file.replay(which, name).unwrap(), keys.len() as u64);
                    model.replay(keys);
                }
                outbox = open(&path);
                while file.status().unwrap().replays > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(outbox.instance(), instance);
                compare(&outbox, &path, &model).await;
            }
            Op::Drop => {
                drop(outbox);
                let file = OutboxFile::open(&path).unwrap();
                while file.status().unwrap().is_live {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                outbox = open(&path);
                compare(&outbox, &path, &model).await;
            }
        }
    }
    compare(&outbox, &path, &model).await;
}

fn data(put: &Put) -> Option<String> {
    put.length.map(|length| format!("\"{}\"", "x".repeat(length - 2)))
}

fn to(put: &Put, ids: [EndpointId; 3]) -> Vec<EndpointId> {
    (0..3).filter(|index| put.to & (1 << index) != 0).map(|index| ids[index]).collect()
}

fn new<'a>(put: &Put, text: &'a Option<String>) -> NewEvent<'a> {
    let mut event = NewEvent::new(TOPICS[put.topic], 7, Timestamp::new(put.second, 0));
    (event.data, event.origin_id) = (text.as_deref(), put.origin);
    event
}

const fn event(put: &Put, data: Option<String>) -> Event {
    Event { topic: TOPICS[put.topic], data, origin: put.origin, second: put.second, first_id: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_is_as_a_plain_map(ops in prop::collection::vec(op(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(play(ops));
    }
}
