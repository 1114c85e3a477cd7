//! The ring against a `VecDeque`, through random operations.

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Batch, HEADER, Queue, Run};

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
    Push(usize),
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
        4 => (0_usize..40).prop_map(Op::Push),
        2 => Just(Op::Lease),
        2 => (1_u32..6, 2_usize..150).prop_map(|(most, longest)| Op::LeaseBatch(most, longest)),
        1 => (0_usize..4).prop_map(Op::Release),
        3 => (0_usize..4).prop_map(Op::Settle),
        1 => Just(Op::DropOldest),
    ]
}

struct Model {
    /// Id, body, leased.
    entries: VecDeque<(u64, Vec<u8>, bool)>,
    leases: Vec<Run>,
    next_id: u64,
}

impl Model {
    fn used(&self) -> usize {
        self.entries.iter().map(|(_, body, _)| HEADER + body.len()).sum()
    }

    fn oldest(&self) -> Option<usize> {
        self.entries.iter().position(|(_, _, leased)| !leased)
    }

    fn take_lease(&mut self, n: usize) -> Option<Run> {
        (n < self.leases.len()).then(|| self.leases.remove(n))
    }

    /// Where the entries of a lease are.
    fn places(&self, run: Run) -> std::ops::Range<usize> {
        let first = self.entries.iter().position(|(id, _, _)| *id == run.first);
        let first = first.expect("a held lease");
        first..first + run.count as usize
    }

    /// Leases the places, and returns the lease.
    fn lease(&mut self, places: std::ops::Range<usize>) -> Run {
        let run = Run {
            first: self.entries[places.start].0,
            count: u32::try_from(places.len()).unwrap(),
        };
        places.for_each(|place| self.entries[place].2 = true);
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
        let waiting = self.entries.iter().skip(first).take_while(|(_, _, leased)| !leased);
        let bodies: Vec<&[u8]> =
            waiting.take(most as usize).map(|(_, body, _)| &body[..]).collect();
        let joined = |n: usize| [b"[", &bodies[..n].join(&b',')[..], b"]"].concat();
        let fits = |n: &usize| {
            let length = joined(*n).len();
            length <= buffer && (*n == 1 || length <= longest)
        };
        let count = (1..=bodies.len()).take_while(fits).last()?;
        Some((first..first + count, joined(count)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn behaves_as_a_deque_of_bodies(capacity in 0_usize..200, ops in prop::collection::vec(op(), 0..200)) {
        let mut queue = Queue::new(std::vec![0; capacity]);
        let mut model = Model { entries: VecDeque::new(), leases: Vec::new(), next_id: 1 };
        for op in ops {
            match op {
                Op::Push(length) => {
                    let id = model.next_id;
                    model.next_id += 1;
                    let body: Vec<u8> = (b'a'..=b'z').cycle().skip(model.entries.len()).take(length).collect();
                    let (first, second) = body.split_at(length / 3);
                    let fits = model.used() + HEADER + length <= capacity;
                    prop_assert_eq!(queue.push(id, [first, second]), fits);
                    if fits {
                        model.entries.push_back((id, body, false));
                    }
                }
                Op::Lease => {
                    let mut out = [0; 64];
                    let leased = queue.lease(&mut out, None);
                    match model.oldest() {
                        None => prop_assert_eq!(leased, None),
                        Some(place) => {
                            let run = model.lease(place..place + 1);
                            let body = &model.entries[place].1;
                            prop_assert_eq!(leased, Some((run, body.len())));
                            prop_assert_eq!(&out[..body.len()], &body[..]);
                        }
                    }
                }
                Op::LeaseBatch(most, longest) => {
                    let mut out = [0; 100];
                    let leased = queue.lease(&mut out, Some(Batch { most, longest }));
                    let batch = model.oldest().and_then(|first| model.batch(first, most, longest, 100));
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
                        model.places(run).for_each(|place| model.entries[place].2 = false);
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
            let leased = model.entries.iter().filter(|(_, _, leased)| *leased);
            let leased_bytes: usize = leased.map(|(_, body, _)| HEADER + body.len()).sum();
            let in_flight = model.leases.iter().map(|run| run.count as usize).sum::<usize>();
            prop_assert_eq!(queue.leased() as usize, in_flight);
            prop_assert_eq!(queue.queued() as usize, model.entries.len() - in_flight);
            prop_assert_eq!(queue.queued_bytes(), model.used() - leased_bytes);
            prop_assert_eq!(queue.free(), capacity - model.used());
            prop_assert_eq!(queue.leased_bytes(), leased_bytes);
        }
    }
}

#[test]
fn an_entry_longer_than_the_workers_buffer_is_not_leased() {
    let mut queue = Queue::new([0; 64]);
    assert!(queue.push(1, [b"0123456789", b""]));
    assert_eq!(queue.lease(&mut [0; 9], None), None);
    let batch = Batch { most: 2, longest: 64 };
    assert_eq!(queue.lease(&mut [0; 11], Some(batch)), None);
    assert_eq!((queue.queued(), queue.leased()), (1, 0));
}

#[test]
fn four_fifths_of_the_bytes_hold_payload_with_the_captured_events() {
    // The captured events' payloads are 100 to 260 bytes long; 180 is their middle.
    let mut queue = Queue::new([0; 8_192]);
    let mut payload = 0;
    while queue.push(1, [&[0; 180], b""]) {
        payload += 180;
    }
    assert!(payload * 10 >= 8_192 * 9, "{payload} of 8192 bytes");
}
