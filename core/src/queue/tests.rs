//! The ring against a `VecDeque`, through random operations.

use std::collections::VecDeque;
use std::format;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Batch, Queue, Run};
use crate::event::{Event, Json, Timestamp};
use crate::format::pilot::{self, Encoded};
use crate::queue::entry::Entry;

impl<B: AsRef<[u8]> + AsMut<[u8]>> Queue<B> {
    /// The ids from the oldest on, and which of them are leased.
    pub(crate) fn entries(&self) -> Vec<(u64, bool)> {
        let entries = core::cell::RefCell::new(Vec::new());
        self.find(|entry| {
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
    Lease,
    /// Of so many entries and bytes at most.
    LeaseBatch(u32, usize),
    /// Of the `n`th lease that is held.
    Release(usize),
    Settle(usize),
    DropOldest,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0_usize..20, 0_usize..20, any::<u32>(), 0_u32..1_000_000_000)
            .prop_map(|(topic, data, node_id, nanos)| Op::Push(topic, data, node_id, nanos)),
        2 => Just(Op::Lease),
        2 => (1_u32..6, 2_usize..400).prop_map(|(most, longest)| Op::LeaseBatch(most, longest)),
        1 => (0_usize..4).prop_map(Op::Release),
        3 => (0_usize..4).prop_map(Op::Settle),
        1 => Just(Op::DropOldest),
    ]
}

struct Expected {
    id: u64,
    body: Vec<u8>,
    /// Bytes in the queue.
    size: usize,
    leased: bool,
}

impl Expected {
    /// An event that may be queued, and what is to become of it.
    fn new<'t>(id: u64, topic: &'t str, data: &str, node_id: u32, nanos: u32) -> (Self, Event<'t>) {
        let timestamp = Timestamp::new(1_768_480_496, nanos);
        let mut body = format!("{{\"event_id\":{id},\"event\":\"{topic}\",\"node_id\":{node_id}");
        body += &format!(",\"timestamp\":\"{timestamp}\"");
        let mut size = Entry::HEADER + topic.len() + 2;
        if !data.is_empty() {
            body += &format!(",\"data\":\"{data}\"");
            size += data.len() + 2;
        }
        body.push('}');
        let entry = Self { id, body: body.into_bytes(), size, leased: false };
        (entry, Event { topic, node_id, timestamp })
    }
}

struct Model {
    entries: VecDeque<Expected>,
    leases: Vec<Run>,
    next_id: u64,
}

impl Model {
    fn used(&self) -> usize {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    fn oldest(&self) -> Option<usize> {
        self.entries.iter().position(|entry| !entry.leased)
    }

    fn take_lease(&mut self, n: usize) -> Option<Run> {
        (n < self.leases.len()).then(|| self.leases.remove(n))
    }

    /// Where the entries of a lease are.
    fn places(&self, run: Run) -> std::ops::Range<usize> {
        let first = self.entries.iter().position(|entry| entry.id == run.first);
        let first = first.expect("a held lease");
        first..first + run.count as usize
    }

    /// Leases the places, and returns the lease.
    fn lease(&mut self, places: std::ops::Range<usize>) -> Run {
        let run = Run {
            first: self.entries[places.start].id,
            count: u32::try_from(places.len()).unwrap(),
        };
        places.for_each(|place| self.entries[place].leased = true);
        self.leases.push(run);
        run
    }

    /// What a batch from `first` on is to be: its places and its body.
    fn batch(
        &self,
        first: usize,
        most: u32,
        longest: usize,
        buffer: usize,
    ) -> Option<(std::ops::Range<usize>, Vec<u8>)> {
        let waiting = self.entries.iter().skip(first).take_while(|entry| !entry.leased);
        let bodies: Vec<&[u8]> = waiting.take(most as usize).map(|entry| &entry.body[..]).collect();
        let joined = |n: usize| [b"[", &bodies[..n].join(&b',')[..], b"]"].concat();
        let fits = |n: &usize| {
            let length = joined(*n).len();
            length <= buffer && (*n == 1 || length <= longest)
        };
        let count = (1..=bodies.len()).take_while(fits).last()?;
        Some((first..first + count, joined(count)))
    }
}

const LETTERS: &str = "abcdefghijklmnopqrst";

fn push<B: AsRef<[u8]> + AsMut<[u8]>>(
    queue: &mut Queue<B>,
    id: u64,
    event: &Event<'_>,
    data: &str,
) -> bool {
    let mut scratch = [0; 64];
    let data = (!data.is_empty()).then_some(data);
    let encoded = Encoded::new(event, &data, &mut scratch).unwrap();
    let entry = encoded.entry(id);
    queue.push(entry, encoded.texts, entry.body_length())
}

/// Leases, and makes the body.
fn lease<B: AsRef<[u8]> + AsMut<[u8]>>(
    queue: &mut Queue<B>,
    out: &mut [u8],
    batch: Option<Batch>,
) -> Option<(Run, usize)> {
    let lease = queue.lease(out, batch)?;
    pilot::render(&mut out[..lease.length], lease.entries, batch.is_some());
    Some((lease.run, lease.length))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn behaves_as_a_deque_of_bodies(capacity in 0_usize..500, ops in prop::collection::vec(op(), 0..200)) {
        let mut queue = Queue::new(vec![0; capacity]);
        let mut model = Model { entries: VecDeque::new(), leases: Vec::new(), next_id: 1 };
        for op in ops {
            match op {
                Op::Push(topic, data, node_id, nanos) => {
                    let id = model.next_id;
                    model.next_id += 1;
                    let (topic, data) = (&LETTERS[..topic], &LETTERS[..data]);
                    let (entry, event) = Expected::new(id, topic, data, node_id, nanos);
                    let fits = model.used() + entry.size <= capacity;
                    prop_assert_eq!(push(&mut queue, id, &event, data), fits);
                    if fits {
                        model.entries.push_back(entry);
                    }
                }
                Op::Lease => {
                    let mut out = [0; 140];
                    let leased = lease(&mut queue, &mut out, None);
                    match model.oldest() {
                        None => prop_assert_eq!(leased, None),
                        Some(place) => {
                            let run = model.lease(place..place + 1);
                            let body = &model.entries[place].body;
                            prop_assert_eq!(leased, Some((run, body.len())));
                            prop_assert_eq!(&out[..body.len()], &body[..]);
                        }
                    }
                }
                Op::LeaseBatch(most, longest) => {
                    let mut out = [0; 300];
                    let leased = lease(&mut queue, &mut out, Some(Batch { most, longest }));
                    let batch = model.oldest().and_then(|first| model.batch(first, most, longest, 300));
                    match batch {
                        None => prop_assert_eq!(leased, None),
                        Some((places, body)) => {
                            let run = model.lease(places);
                            prop_assert_eq!(leased, Some((run, body.len())));
                            prop_assert_eq!(&out[..body.len()], &body[..]);
                        }
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
                Op::DropOldest => {
                    let oldest = model.oldest();
                    prop_assert_eq!(queue.drop_oldest(), oldest.is_some());
                    if let Some(place) = oldest {
                        model.entries.remove(place);
                    }
                }
            }
            let leased = model.entries.iter().filter(|entry| entry.leased);
            let leased_bytes: usize = leased.map(|entry| entry.size).sum();
            let queued = model.entries.iter().filter(|entry| !entry.leased);
            let bodies: usize = queued.map(|entry| entry.body.len()).sum();
            let in_flight = model.leases.iter().map(|run| run.count as usize).sum::<usize>();
            prop_assert_eq!(queue.leased() as usize, in_flight);
            prop_assert_eq!(queue.queued() as usize, model.entries.len() - in_flight);
            prop_assert_eq!(queue.queued_bodies(), bodies);
            prop_assert_eq!(queue.free(), capacity - model.used());
            prop_assert_eq!(queue.leased_bytes(), leased_bytes);
        }
    }
}

#[test]
fn an_entry_longer_than_the_workers_buffer_is_not_leased() {
    let mut queue = Queue::new([0; 64]);
    let (entry, event) = Expected::new(1, "t", "", 2, 0);
    let length = entry.body.len();
    assert!(push(&mut queue, 1, &event, ""));
    assert_eq!(queue.lease(&mut vec![0; length - 1], None), None);
    let batch = Batch { most: 2, longest: 64 };
    assert_eq!(queue.lease(&mut vec![0; length + 1], Some(batch)), None);
    assert_eq!((queue.queued(), queue.leased()), (1, 0));
    let mut body = vec![0; length + 2];
    assert!(lease(&mut queue, &mut body, Some(batch)).is_some());
    assert_eq!(body, [b"[", &entry.body[..], b"]"].concat());
}

/// What a node's queue holds of events like those that a real daemon sent.
#[test]
fn an_event_takes_fewer_bytes_than_its_body() {
    let data = r#"{"conn_id":123456,"dst_port":444,"src_addr":"0:0000.0000.0002:49152"}"#;
    let event = Event {
        topic: "conn.established",
        node_id: 1,
        timestamp: Timestamp::new(1_768_480_496, 789_123_456),
    };
    let mut scratch = [0; 256];
    let encoded = Encoded::new(&event, &Json(data), &mut scratch).unwrap();
    let entry = encoded.entry(123_456);
    assert_eq!((entry.body_length(), entry.size()), (180, 119));
}
