//! Virtual time: it stands still while a task can run, and then jumps to the next timer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pilot_webhook_core::{Clock, Instant, Timestamp};

/// 2026-01-01T00:00:00Z.
const WALL_START: i64 = 1_767_225_600;

/// The clock of one simulated world. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SimClock(Rc<Time>);

struct Time {
    now: Cell<u64>,
    /// What the wall clock was set forward by, in milliseconds.
    wall_offset: Cell<i64>,
    /// Timers end at multiples of so many microseconds, as a platform's do.
    grain: u64,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    serial: Cell<u64>,
}

/// What is later is "never".
pub(crate) const NEVER: u64 = u64::MAX / 2;

impl SimClock {
    pub(crate) fn new(grain: u64) -> Self {
        Self(Rc::new(Time {
            now: Cell::new(1),
            wall_offset: Cell::new(0),
            grain,
            timers: RefCell::default(),
            serial: Cell::new(0),
        }))
    }

    pub(crate) fn micros(&self) -> u64 {
        self.0.now.get()
    }

    /// The wall clock is set.
    pub(crate) fn jump_wall(&self, millis: i64) {
        self.0.wall_offset.set(self.0.wall_offset.get() + millis);
    }

    /// When the next timer ends.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let first = self.0.timers.borrow().first_key_value().map(|(&(at, _), _)| at);
        first.filter(|at| *at < NEVER)
    }

    /// Goes forward to `to`, which no timer precedes, and ends the timers of that instant.
    pub(crate) fn advance(&self, to: u64) {
        self.0.now.set(to.max(self.micros()));
        while self.next_timer().is_some_and(|at| at <= to) {
            let timer = self.0.timers.borrow_mut().pop_first();
            if let Some((_, waker)) = timer {
                waker.wake();
            }
        }
    }

    /// Completes after so many microseconds.
    pub(crate) fn sleep(&self, micros: u64) -> Sleep {
        self.sleep_to(self.micros().saturating_add(micros))
    }

    fn sleep_to(&self, at: u64) -> Sleep {
        let grain = self.0.grain;
        let at = at.div_ceil(grain).saturating_mul(grain);
        let serial = self.0.serial.get();
        self.0.serial.set(serial + 1);
        Sleep { time: Rc::clone(&self.0), key: (at, serial) }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.micros())
    }

    fn wall(&self) -> Timestamp {
        let micros = i64::try_from(self.micros()).unwrap() + self.0.wall_offset.get() * 1_000;
        let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap();
        Timestamp::new(WALL_START + micros.div_euclid(1_000_000), nanos)
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        self.sleep_to(deadline.as_micros())
    }
}

pub(crate) struct Sleep {
    time: Rc<Time>,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.time.now.get() >= self.key.0 {
            return Poll::Ready(());
        }
        self.time.timers.borrow_mut().insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.timers.borrow_mut().remove(&self.key);
    }
}

/// A duration in whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap()
}
