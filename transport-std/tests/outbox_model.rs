//! The outbox against a plain map, through whatever happens to it.

#![cfg(feature = "outbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadReason, End, Ledger, NewEvent, Outbox, OutboxFile, OutboxOptions, Position, Which,
};
use proptest::prelude::*;

const TOPICS: [&str; 4] = ["conn.fin", "conn.syn", "tunnel.up", ""];
const FATES: [DeadFate; 3] = [DeadFate::Rejected, DeadFate::Exhausted, DeadFate::Oversize];
const DEAD_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Put {
    topic: usize,
    length: Option<usize>,
    origin: Option<u64>,
    second: i64,
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
    /// The n-th of the ids that were ever given, from the back.
    End {
        nth: usize,
        fate: Option<usize>,
    },
    Purge(Letters),
    /// Closed, replays asked for, opened.
    Reopen(Option<Letters>),
    /// The handle dropped, and opened when the file is free.
    Drop,
}

fn op() -> impl Strategy<Value = Op> {
    let put = (0..4_usize, prop::option::of(2..5000_usize), prop::option::of(0..4_u64), 0..2_i64)
        .prop_map(|(topic, length, origin, second)| Put { topic, length, origin, second });
    let puts = prop::collection::vec(put, 0..6);
    let some =
        prop_oneof![Just(Letters::All), (0..8_usize).prop_map(Letters::Nth), Just(Letters::Conn)];
    prop_oneof![
        3 => puts.clone().prop_map(Op::PutAll),
        3 => puts.prop_map(Op::Submit),
        8 => (0..12_usize, prop::option::of(0..3_usize)).prop_map(|(nth, fate)| Op::End { nth, fate }),
        1 => some.clone().prop_map(Op::Purge),
        2 => prop::option::of(some).prop_map(Op::Reopen),
        1 => Just(Op::Drop),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Event {
    topic: &'static str,
    data: Option<String>,
    origin: Option<u64>,
    second: i64,
    first_id: Option<u64>,
}

#[derive(Default)]
struct Model {
    last_id: u64,
    stored: BTreeMap<u64, Event>,
    dead: BTreeMap<u64, (Event, DeadFate)>,
    origins: BTreeMap<(u64, i64), u64>,
    position: Option<String>,
    ledger: Ledger,
}

impl Model {
    fn put(&mut self, event: Event) -> u64 {
        if let Some(origin) = event.origin {
            if let Some(id) = self.origins.get(&(origin, event.second)) {
                self.ledger.repeats += 1;
                return *id;
            }
            self.origins.insert((origin, event.second), self.last_id + 1);
        }
        self.last_id += 1;
        self.ledger.accepted += 1;
        self.stored.insert(self.last_id, event);
        self.last_id
    }

    fn end(&mut self, id: u64, fate: Option<usize>) {
        let Some(event) = self.stored.remove(&id) else { return };
        match fate {
            None => self.ledger.delivered += 1,
            Some(fate) => {
                self.dead.insert(id, (event, FATES[fate]));
                *[
                    &mut self.ledger.rejected,
                    &mut self.ledger.exhausted,
                    &mut self.ledger.oversize,
                ][fate] += 1;
                if self.dead.len() > DEAD_MAX {
                    self.dead.pop_first();
                    self.ledger.expired += 1;
                }
            }
        }
    }

    fn which(&self, some: Letters) -> (Which<'static>, BTreeSet<u64>) {
        match some {
            Letters::All => (Which::All, self.dead.keys().copied().collect()),
            Letters::Conn => {
                let matches =
                    |(_, (event, _)): &(&u64, &(Event, _))| event.topic.starts_with("conn.");
                (
                    Which::Topic("conn.*"),
                    self.dead.iter().filter(matches).map(|(id, _)| *id).collect(),
                )
            }
            Letters::Nth(nth) => {
                let id = self.dead.keys().nth(nth).copied();
                (Which::Id(id.unwrap_or(u64::MAX >> 1)), id.into_iter().collect())
            }
        }
    }

    fn replay(&mut self, ids: BTreeSet<u64>) {
        for id in ids {
            let (mut event, _) = self.dead.remove(&id).unwrap();
            event.first_id = event.first_id.or(Some(id));
            self.last_id += 1;
            self.stored.insert(self.last_id, event);
            self.ledger.replayed += 1;
        }
    }
}

fn open(path: &Path) -> Outbox {
    let mut options = OutboxOptions::default();
    options.dead_max = DEAD_MAX as u64;
    Outbox::open(path, options).unwrap()
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
async fn compare(outbox: &Outbox, path: &Path, model: &mut Model) {
    flush(outbox).await;
    let of = |event: &pilot_webhook_std::outbox::Stored| Event {
        topic: TOPICS.into_iter().find(|topic| *topic == event.topic).unwrap(),
        data: event.data.clone(),
        origin: event.origin_id,
        second: event.timestamp.seconds(),
        first_id: event.first_id,
    };
    // In pages, as the engine reads.
    let (mut after, mut stored) = (0, Vec::new());
    loop {
        let page = outbox.pilot().read(after, 3, 6000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        stored.extend(page.iter().map(|event| (event.id, of(event))));
    }
    assert!(stored.is_sorted_by_key(|(id, _)| *id));
    assert_eq!(stored, model.stored.clone().into_iter().collect::<Vec<_>>());
    let file = OutboxFile::open(path).unwrap();
    let letters = file.dead("pilot", 0, usize::MAX).unwrap();
    let letters: Vec<_> =
        letters.iter().map(|it| (it.event.id, (of(&it.event), it.reason.fate))).collect();
    assert_eq!(letters, model.dead.clone().into_iter().collect::<Vec<_>>());
    let size = |event: &Event| {
        (event.topic.len() + event.data.as_ref().map_or(0, String::len)) as u64 + 32
    };
    model.ledger.stored = model.stored.len() as u64;
    model.ledger.dead = model.dead.len() as u64;
    model.ledger.stored_bytes = model.stored.values().map(size).sum();
    let found = file.verify().unwrap();
    assert_eq!((found.ledger, found.problems), (model.ledger, vec![]));
    assert_eq!(file.status().unwrap().last_id, model.last_id);
    assert_eq!(outbox.position("s").unwrap(), model.position);
}

async fn play(ops: Vec<Op>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let mut outbox = open(&path);
    let instance = outbox.instance();
    let mut model = Model::default();
    for (step, op) in ops.into_iter().enumerate() {
        match op {
            Op::PutAll(puts) | Op::Submit(puts) if puts.is_empty() => flush(&outbox).await,
            Op::PutAll(puts) => {
                let texts: Vec<_> = puts.iter().map(data).collect();
                let events: Vec<_> =
                    puts.iter().zip(&texts).map(|(put, text)| new(put, text)).collect();
                let text = step.to_string();
                let at = Position { source: "s", text: &text };
                let ids = outbox.put_all(&events, Some(at)).unwrap().await.unwrap();
                let expected: Vec<u64> =
                    puts.iter().zip(texts).map(|(put, text)| model.put(event(put, text))).collect();
                assert_eq!(ids, expected);
                model.position = Some(text);
            }
            Op::Submit(puts) => {
                for put in &puts {
                    let text = data(put);
                    outbox.submit(new(put, &text)).unwrap();
                    model.put(event(put, text));
                }
                // An id that nobody knows yet cannot be ended.
                flush(&outbox).await;
            }
            Op::End { nth, fate } => {
                let id = model.last_id.saturating_sub(nth as u64);
                outbox.pilot().end(id, fate.map_or(End::Delivered, |fate| dead(FATES[fate])));
                model.end(id, fate);
            }
            Op::Purge(some) => {
                flush(&outbox).await;
                let (which, ids) = model.which(some);
                let purged = OutboxFile::open(&path).unwrap().purge(which, None).unwrap();
                assert_eq!(purged, ids.len() as u64);
                model.ledger.purged += purged;
                model.dead.retain(|id, _| !ids.contains(id));
            }
            Op::Reopen(some) => {
                outbox.close().await.unwrap();
                let file = OutboxFile::open(&path).unwrap();
                if let Some(some) = some {
                    let (which, ids) = model.which(some);
                    assert_eq!(file.replay(which, None).unwrap(), ids.len() as u64);
                    model.replay(ids);
                }
                outbox = open(&path);
                while file.status().unwrap().replays > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(outbox.instance(), instance);
                compare(&outbox, &path, &mut model).await;
            }
            Op::Drop => {
                drop(outbox);
                let file = OutboxFile::open(&path).unwrap();
                while file.status().unwrap().is_live {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                outbox = open(&path);
                compare(&outbox, &path, &mut model).await;
            }
        }
    }
    compare(&outbox, &path, &mut model).await;
}

fn data(put: &Put) -> Option<String> {
    put.length.map(|length| format!("\"{}\"", "x".repeat(length - 2)))
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
