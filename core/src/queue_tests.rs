//! The ring against a `VecDeque`, through random operations.

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;

use super::{HEADER, Queue};

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    Lease,
    /// Of the `n`th lease that is held.
    Release(usize),
    Settle(usize),
    DropOldest,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0_usize..40).prop_map(Op::Push),
        3 => Just(Op::Lease),
        1 => (0_usize..4).prop_map(Op::Release),
        3 => (0_usize..4).prop_map(Op::Settle),
        1 => Just(Op::DropOldest),
    ]
}

struct Model {
    /// Id, body, leased.
    entries: VecDeque<(u64, Vec<u8>, bool)>,
    leases: Vec<u64>,
    next_id: u64,
}

impl Model {
    fn used(&self) -> usize {
        self.entries.iter().map(|(_, body, _)| HEADER + body.len()).sum()
    }

    fn oldest(&self) -> Option<usize> {
        self.entries.iter().position(|(_, _, leased)| !leased)
    }

    fn take_lease(&mut self, n: usize) -> Option<u64> {
        (n < self.leases.len()).then(|| self.leases.remove(n))
    }

    fn place(&self, id: u64) -> usize {
        self.entries.iter().position(|(known, _, _)| *known == id).expect("a held lease")
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
                    let leased = queue.lease(&mut out);
                    match model.oldest() {
                        None => prop_assert_eq!(leased, None),
                        Some(place) => {
                            let (id, body, is_leased) = &mut model.entries[place];
                            *is_leased = true;
                            model.leases.push(*id);
                            prop_assert_eq!(leased, Some((*id, body.len())));
                            prop_assert_eq!(&out[..body.len()], &body[..]);
                        }
                    }
                }
                Op::Release(n) => {
                    if let Some(id) = model.take_lease(n) {
                        let place = model.place(id);
                        model.entries[place].2 = false;
                        prop_assert!(queue.release(id));
                        prop_assert!(!queue.release(id), "a lease ends once");
                    }
                }
                Op::Settle(n) => {
                    if let Some(id) = model.take_lease(n) {
                        model.entries.remove(model.place(id));
                        prop_assert!(queue.settle(id));
                        prop_assert!(!queue.settle(id), "a lease ends once");
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
            prop_assert_eq!(queue.leased() as usize, model.leases.len());
            prop_assert_eq!(queue.queued() as usize, model.entries.len() - model.leases.len());
            prop_assert_eq!(queue.free(), capacity - model.used());
            prop_assert_eq!(queue.leased_bytes(), leased_bytes);
        }
    }
}

#[test]
fn an_entry_longer_than_the_workers_buffer_is_not_leased() {
    let mut queue = Queue::new([0; 64]);
    assert!(queue.push(1, [b"0123456789", b""]));
    assert_eq!(queue.lease(&mut [0; 9]), None);
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
