//! Random tasks over one set: each that waits looks after every wake-up, and none looks in vain for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Wake;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Places, WaitQueue, Waiter, WakerSet, Woken};
use core::task::Waker;

#[derive(Default)]
struct Task {
    wakes: AtomicU32,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
    }
}

const TASKS: usize = 6;

/// Waiters that live in tasks, and what each has seen of the thing that they wait for.
struct Bench<const N: usize> {
    set: WakerSet<N>,
    /// Counts how often it happened.
    happened: u32,
    tasks: Vec<Arc<Task>>,
    /// The task of each, what it must see, and what it remembers.
    waiters: Vec<(usize, u32, Waiter)>,
    polls: u32,
}

impl<const N: usize> Bench<N> {
    fn new() -> Self {
        let tasks = (0..TASKS).map(|_| Arc::default()).collect();
        Self { set: WakerSet::new(), happened: 0, tasks, waiters: Vec::new(), polls: 0 }
    }

    /// A waiter looks: it is done when what it waits for has happened.
    fn poll(&mut self, place: usize) {
        self.polls += 1;
        let (task, until, waiter) = &mut self.waiters[place];
        let waker = Waker::from(Arc::clone(&self.tasks[*task]));
        if self.happened >= *until {
            let woken: Woken<N> = self.set.leave(waiter);
            woken.wake();
            self.waiters.remove(place);
        } else {
            self.set.join(waiter, &waker).wake();
        }
    }

    /// All tasks that were woken look at all of theirs, until none is.
    fn run(&mut self) {
        while let Some(task) = self.tasks.iter().position(|task| task.wakes.swap(0, Relaxed) > 0) {
            for place in (0..self.waiters.len()).rev() {
                if self.waiters[place].0 == task {
                    self.poll(place);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// One begins to wait, in this task.
    Come(usize),
    /// One looks without having been woken.
    Look(usize),
    /// One moves to another task, and looks.
    Move(usize, usize),
    Vanish(usize),
    Happen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..TASKS).prop_map(Op::Come),
        2 => (0_usize..8).prop_map(Op::Look),
        1 => (0_usize..8, 0..TASKS).prop_map(|(waiter, task)| Op::Move(waiter, task)),
        2 => (0_usize..8).prop_map(Op::Vanish),
        2 => Just(Op::Happen),
    ]
}

/// The count of those who are there is right.
fn is_counted<const N: usize>(places: &Places<N>) -> bool {
    places.taken == places.places.iter().flatten().count()
}

fn check<const N: usize>(ops: &[Op]) {
    let mut bench = Bench::<N>::new();
    for op in ops {
        let before = bench.polls;
        let waiting = u32::try_from(bench.waiters.len()).unwrap();
        match *op {
            Op::Come(task) => {
                bench.waiters.push((task, bench.happened + 1, Waiter::default()));
                bench.poll(bench.waiters.len() - 1);
            }
            Op::Look(place) if place < bench.waiters.len() => bench.poll(place),
            Op::Move(place, task) if place < bench.waiters.len() => {
                bench.waiters[place].0 = task;
                bench.poll(place);
            }
            Op::Vanish(place) if place < bench.waiters.len() => {
                let (_, _, mut waiter) = bench.waiters.remove(place);
                bench.set.leave(&mut waiter).wake();
            }
            Op::Happen => {
                bench.happened += 1;
                bench.set.take_all().wake();
            }
            _ => {}
        }
        if let Op::Come(_) | Op::Look(_) = op {
            assert!(bench.polls - before <= 1);
            let woken = bench.tasks.iter().any(|task| task.wakes.load(Relaxed) > 0);
            assert!(!woken, "one who comes or looks wakes nobody");
        }
        assert!(is_counted(&bench.set.places));
        bench.run();
        assert!(is_counted(&bench.set.places));
        assert!(bench.polls - before <= 2 * (waiting + 1) * (waiting + 2), "they keep awake");
        if let Op::Happen = op {
            assert_eq!(bench.waiters.len(), 0, "all have seen it");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn all_who_wait_hear_of_it_and_nobody_is_kept_awake(ops in prop::collection::vec(op(), 0..40)) {
        check::<1>(&ops);
        check::<2>(&ops);
        check::<4>(&ops);
    }
}

#[test]
fn of_the_workers_that_wait_each_is_taken_once() {
    let mut queue = WaitQueue::<3>::new();
    let mut keys = [None; 4];
    let waker = Waker::noop();
    assert!(queue.take().is_none());
    for (n, key) in keys.iter_mut().enumerate() {
        // The fourth takes the last place, whose worker asks again.
        assert_eq!(queue.wait(key, waker).is_some(), n == 3);
        assert!(queue.wait(key, waker).is_none(), "it waits already");
        assert!(is_counted(&queue.places));
    }
    assert!(queue.leave(keys[0].unwrap()) && !queue.leave(keys[0].unwrap()));
    assert!(is_counted(&queue.places));
    for left in [1, 0] {
        assert!(queue.take().is_some());
        assert_eq!(queue.places.taken, left);
    }
    assert!(queue.take().is_none() && is_counted(&queue.places));
    assert!(keys.iter().flatten().all(|key| !queue.leave(*key)));
}
