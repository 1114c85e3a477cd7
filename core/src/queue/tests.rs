//! The ring against a `VecDeque`, through random operations.

use std::borrow::ToOwned;
use std::collections::VecDeque;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Bound, Encoded, Events, LeaseRange, Queue};
use crate::event::{Event, Json, MessageId, Timestamp, TraceContext};
use crate::queue::entry::Entry;

impl<B: AsRef<[u8]> + AsMut<[u8]>> Queue<B> {
    /// The ids from the oldest on, and which of them are leased.
    pub(crate) fn entries(&self) -> Vec<(u64, bool)> {
        let entries = core::cell::RefCell::new(Vec::new());
        self.find(0, |entry| {
            entries.borrow_mut().push((entry.id, entry.leased));
            false
        });
        entries.into_inner()
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// With a topic and data of so many letters (0: none), on this node, at this nanosecond.
    Push(usize, usize, u32, u32),
    /// From the `n`th waiting entry on (or the last), of so many entries, and bytes of text, at most.
    Lease(usize, u32, usize),
    /// The `n`th waiting entry, without a copy.
    Hold(usize),
    /// Of the `n`th lease that is held, with what follows it.
    Grow(usize),
    /// Of the `n`th lease that is held.
    Release(usize),
    Settle(usize),
    /// The first entry of the `n`th lease alone.
    SettleFirst(usize),
    /// The `n`th waiting entry.
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0_usize..20, 0_usize..20, any::<u32>(), 0_u32..1_000_000_000)
            .prop_map(|(topic, data, node_id, nanos)| Op::Push(topic, data, node_id, nanos)),
        4 => (prop_oneof![3 => Just(0), 1 => 0_usize..4], 1_u32..6, 0_usize..200)
            .prop_map(|(n, most, texts)| Op::Lease(n, most, texts)),
        1 => (0_usize..3).prop_map(Op::Hold),
        1 => (0_usize..4).prop_map(Op::Grow),
        1 => (0_usize..4).prop_map(Op::Release),
        3 => (0_usize..4).prop_map(Op::Settle),
        1 => (0_usize..4).prop_map(Op::SettleFirst),
        1 => (0_usize..3).prop_map(Op::Drop),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Expected {
    id: u64,
    topic: String,
    node_id: u32,
    timestamp: Timestamp,
    data: Option<String>,
    trace: Option<TraceContext>,
    leased: bool,
}

impl Expected {
    fn texts(&self) -> usize {
        let trace = self.trace.map_or(0, |_| TraceContext::LENGTH);
        self.topic.len() + self.data.as_ref().map_or(0, String::len) + trace
    }

    fn size(&self) -> usize {
        Entry::HEADER + self.texts()
    }
}

struct Model {
    entries: VecDeque<Expected>,
    leases: Vec<LeaseRange>,
    next_id: u64,
}

impl Model {
    fn used(&self) -> usize {
        self.entries.iter().map(Expected::size).sum()
    }

    fn take_lease(&mut self, n: usize) -> Option<LeaseRange> {
        (n < self.leases.len()).then(|| self.leases.remove(n))
    }

    /// Where the entries of a lease are.
    fn places(&self, run: LeaseRange) -> std::ops::Range<usize> {
        let first = self.entries.iter().position(|entry| entry.id == run.first);
        let first = first.expect("a held lease");
        first..first + run.count as usize
    }

    /// Leases the places, and returns the lease.
    fn lease(&mut self, places: std::ops::Range<usize>) -> LeaseRange {
        let run = LeaseRange {
            first: self.entries[places.start].id,
            count: u32::try_from(places.len()).unwrap(),
        };
        places.for_each(|place| self.entries[place].leased = true);
        self.leases.push(run);
        run
    }

    /// The place of the `n`th waiting entry, or of the last.
    fn waiting(&self, n: usize) -> Option<usize> {
        let waiting = self.entries.iter().enumerate().filter(|(_, entry)| !entry.leased);
        waiting.take(n + 1).last().map(|(place, _)| place)
    }

    /// The places that a lease is to be of.
    fn leasable(
        &self,
        first: usize,
        most: u32,
        texts: usize,
        buffer: usize,
    ) -> Option<std::ops::Range<usize>> {
        let waiting = self.entries.iter().skip(first).take_while(|entry| !entry.leased);
        let (mut bytes, mut size) = (0, 0);
        let fits = |entry: &&Expected| {
            bytes += entry.texts();
            size += entry.size();
            bytes <= texts && size <= buffer
        };
        let count = waiting.take(most as usize).take_while(fits).count();
        (count > 0).then_some(first..first + count)
    }
}

const LETTERS: &str = "abcdefghijklmnopqrst";

/// Every other event is part of a trace, where there are traces.
fn trace(node_id: u32) -> Option<TraceContext> {
    let bytes = [node_id.to_le_bytes(); 8];
    (node_id % 2 == 1).then(|| TraceContext::from_bytes(bytes.as_flattened().get(..17)?))?
}

fn push<B: AsRef<[u8]> + AsMut<[u8]>>(
    queue: &mut Queue<B>,
    id: u64,
    event: &Event<'_>,
    data: &str,
) -> bool {
    let mut scratch = [0; 64];
    let data = (!data.is_empty()).then_some(data);
    let encoded = Encoded::new(event, &data, &mut scratch).unwrap();
    queue.push(encoded.entry(id), encoded.texts)
}

/// The events of a lease, as they stand at the end of the buffer.
fn read(entries: &[u8]) -> Vec<Expected> {
    let id = MessageId { node_id: 0, instance: 0, first: 0, last: 0, events: 0 };
    let events = Events { id, is_batch: true, entries };
    let owned = events.iter().map(|event| Expected {
        id: event.id,
        // A text's `Debug` is the text.
        topic: format!("{:?}", event.topic),
        node_id: event.node_id,
        timestamp: event.timestamp,
        data: event.data.map(|data| data.as_str().to_owned()),
        trace: event.trace,
        leased: false,
    });
    owned.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn behaves_as_a_deque_of_events(capacity in 0_usize..500, ops in prop::collection::vec(op(), 0..200)) {
        let mut queue = Queue::new(vec![0; capacity]);
        let mut model = Model { entries: VecDeque::new(), leases: Vec::new(), next_id: 1 };
        for op in ops {
            match op {
                Op::Push(topic, data, node_id, nanos) => {
                    let id = model.next_id;
                    model.next_id += 1;
                    let (topic, data) = (&LETTERS[..topic], &LETTERS[..data]);
                    let timestamp = Timestamp::new(1_768_480_496, nanos);
                    let entry = Expected {
                        id,
                        topic: format!("\"{topic}\""),
                        node_id,
                        timestamp,
                        data: (!data.is_empty()).then(|| format!("\"{data}\"")),
                        trace: trace(node_id),
                        leased: false,
                    };
                    let fits = model.used() + entry.size() <= capacity;
                    let trace = trace(node_id);
                    let event = Event { trace, ..Event::new(topic, node_id, timestamp) };
                    prop_assert_eq!(push(&mut queue, id, &event, data), fits);
                    if fits {
                        model.entries.push_back(entry);
                    }
                }
                Op::Lease(n, most, texts) => {
                    let mut out = [0; 300];
                    let fits = |count: u32, bytes: usize| count <= most && bytes <= texts;
                    let Some(first) = model.waiting(n) else {
                        prop_assert_eq!(queue.oldest(), None);
                        continue;
                    };
                    let id = model.entries[first].id;
                    let oldest = model.waiting(0).map(|place| model.entries[place].id);
                    prop_assert_eq!(queue.oldest(), oldest);
                    prop_assert_eq!(queue.oldest_that(|other| other >= id), Some(id));
                    let leased = queue.lease(id, &mut out, fits);
                    match model.leasable(first, most, texts, out.len()) {
                        None => prop_assert_eq!(leased, None),
                        Some(places) => {
                            let leased = leased.unwrap();
                            let expected: Vec<_> = model.entries.range(places.clone()).cloned().collect();
                            prop_assert_eq!(leased.texts(), expected.iter().map(Expected::texts).sum::<usize>());
                            prop_assert_eq!(leased.last, expected[expected.len() - 1].id);
                            prop_assert_eq!(leased.node_id, expected[0].node_id);
                            prop_assert_eq!(read(&out[out.len() - leased.size..]), expected);
                            prop_assert_eq!(queue.copy(leased.run, &mut [0; 300]), Some(leased));
                            prop_assert_eq!(leased.run, model.lease(places));
                            let mut again = [0; 300];
                            prop_assert_eq!(queue.copy(leased.run, &mut again), Some(leased));
                            prop_assert_eq!(again, out);
                            let short = &mut again[..leased.size - 1];
                            prop_assert_eq!(queue.copy(leased.run, short), None);
                        }
                    }
                }
                Op::Hold(n) => {
                    if let Some(place) = model.waiting(n) {
                        let run = model.lease(place..place + 1);
                        prop_assert!(queue.hold(run.first));
                        prop_assert!(!queue.hold(run.first));
                    }
                }
                Op::Grow(n) => {
                    if let Some(mut run) = model.take_lease(n) {
                        let next = model.places(run).end;
                        let following = model.entries.get_mut(next);
                        prop_assert_eq!(queue.following(run), following.as_ref().map(|entry| entry.id));
                        if let Some(entry) = following.filter(|entry| !entry.leased) {
                            entry.leased = true;
                            prop_assert!(queue.hold(entry.id));
                            run.count += 1;
                        }
                        model.leases.push(run);
                    }
                }
                Op::Release(n) => {
                    if let Some(run) = model.take_lease(n) {
                        model.places(run).for_each(|place| model.entries[place].leased = false);
                        prop_assert_eq!(queue.release(run), run.count);
                        prop_assert_eq!(queue.release(run), 0, "a lease ends once");
                    }
                }
                Op::Settle(n) => {
                    if let Some(run) = model.take_lease(n) {
                        model.entries.drain(model.places(run));
                        prop_assert_eq!(queue.settle(run), run.count);
                        prop_assert_eq!(queue.settle(run), 0, "a lease ends once");
                    }
                }
                Op::SettleFirst(n) => {
                    if let Some(run) = model.take_lease(n) {
                        let places = model.places(run);
                        let next = model.entries.get(places.start + 1).map(|entry| entry.id);
                        model.entries.remove(places.start);
                        prop_assert_eq!(queue.settle(LeaseRange { count: 1, ..run }), 1);
                        if let Some(first) = next.filter(|_| run.count > 1) {
                            model.leases.push(LeaseRange { first, count: run.count - 1 });
                        }
                    }
                }
                Op::Drop(n) => {
                    if let Some(place) = model.waiting(n) {
                        let id = model.entries[place].id;
                        prop_assert!(queue.drop_waiting(id));
                        prop_assert!(!queue.drop_waiting(id));
                        model.entries.remove(place);
                    }
                }
            }
            let leased = model.entries.iter().filter(|entry| entry.leased);
            let leased_bytes: usize = leased.map(Expected::size).sum();
            let queued = model.entries.iter().filter(|entry| !entry.leased);
            let texts: usize = queued.map(Expected::texts).sum();
            let in_flight = model.leases.iter().map(|run| run.count as usize).sum::<usize>();
            prop_assert_eq!(queue.leased() as usize, in_flight);
            prop_assert_eq!(queue.queued() as usize, model.entries.len() - in_flight);
            prop_assert_eq!(queue.queued_texts(), texts);
            prop_assert_eq!(queue.used(), model.used());
            prop_assert_eq!(queue.free(), capacity - model.used());
            prop_assert_eq!(queue.leased_bytes(), leased_bytes);
            // A search begins at an entry's start, or at the end, behind leased ones only.
            let mut starts = vec![0];
            starts.extend(model.entries.iter().scan(0, |at, entry| {
                *at += entry.size();
                Some(*at)
            }));
            let place = starts.iter().position(|start| *start == queue.waiting);
            prop_assert!(place.is_some());
            let place = place.unwrap_or_default();
            prop_assert!(model.entries.range(..place).all(|entry| entry.leased));
        }
    }
}

proptest! {
    #[test]
    fn what_a_buffer_is_enough_for_is_the_longest_of_it(
        (message, event, factor) in (0_usize..100, 0_usize..200, 1_usize..7),
        more in 0_usize..2_000,
    ) {
        let bound = Bound { message, event, factor };
        let buffer = bound.buffer(1, 0) + more;
        let texts = bound.texts(buffer);
        prop_assert!(bound.buffer(1, texts) <= buffer && bound.buffer(1, texts + 1) > buffer);
        prop_assert_eq!(bound.texts(more.min(bound.buffer(1, 0))), 0);
    }
}

#[test]
fn an_entry_longer_than_the_workers_buffer_is_not_leased() {
    let mut queue = Queue::new([0; 64]);
    let event = Event::new("t", 2, Timestamp::UNIX_EPOCH);
    assert!(push(&mut queue, 1, &event, ""));
    let length = Entry::HEADER + 3;
    assert_eq!(queue.lease(1, &mut vec![0; length - 1], |_, _| true), None);
    assert_eq!(queue.lease(1, &mut vec![0; length], |_, _| false), None);
    assert_eq!((queue.queued(), queue.leased()), (1, 0));
    let mut buffer = vec![0; length];
    assert!(queue.lease(1, &mut buffer, |_, _| true).is_some());
    assert_eq!(read(&buffer)[0].topic, "\"t\"");
}

/// What a node's queue holds of events like those that a real daemon sent.
#[test]
fn an_event_takes_32_bytes_and_its_texts() {
    let data = r#"{"conn_id":123456,"dst_port":444,"src_addr":"0:0000.0000.0002:49152"}"#;
    let event = Event::new("conn.established", 1, Timestamp::new(1_768_480_496, 789_123_456));
    let mut scratch = [0; 256];
    let encoded = Encoded::new(&event, &Json(data), &mut scratch).unwrap();
    assert_eq!(encoded.entry(123_456).size(), 119);
}

/// With many messages under way, each search would look at all of them.
#[test]
fn a_search_for_what_waits_begins_behind_what_is_leased() {
    let mut queue = Queue::new([0; 256]);
    let event = Event::new("t", 2, Timestamp::UNIX_EPOCH);
    let size = Entry::HEADER + 3;
    (1..=4).for_each(|id| assert!(push(&mut queue, id, &event, "")));
    let lease = |queue: &mut Queue<[u8; 256]>| {
        let id = queue.oldest().unwrap();
        queue.lease(id, &mut [0; 64], |count, _| count == 1).unwrap().run
    };
    let [first, second] = [(); 2].map(|()| lease(&mut queue));
    assert_eq!((queue.oldest(), queue.waiting), (Some(3), 2 * size));
    queue.settle(first);
    assert_eq!((queue.oldest(), queue.waiting), (Some(3), size));
    queue.release(second);
    assert_eq!(queue.waiting, 0);
    // Behind the one that is leased again is one that never came back.
    assert!(queue.hold(3));
    let second = lease(&mut queue);
    assert_eq!((second.first, queue.oldest(), queue.waiting), (2, Some(4), 2 * size));
}
