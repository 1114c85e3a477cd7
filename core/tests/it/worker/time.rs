//! Time that moves when nobody has anything to do.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use pilot_webhook_core::{Clock, Instant, Timestamp};

use super::{WALL, at};

/// Time moves to the next time that someone waits for, when nobody was woken.
#[derive(Default)]
pub(super) struct Time {
    now: Cell<Instant>,
    next: Cell<Option<Instant>>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn wall(&self) -> Timestamp {
        let micros = self.now.get().as_micros();
        Timestamp::new(WALL + i64::try_from(micros / 1_000_000).unwrap(), 0)
    }

    async fn sleep_until(&self, deadline: Instant) {
        poll_fn(|_| {
            if self.now.get() >= deadline {
                return Poll::Ready(());
            }
            let next = self.next.get().map_or(deadline, |next| next.min(deadline));
            self.next.set(Some(next));
            Poll::Pending
        })
        .await;
    }
}

impl Time {
    /// Drives the workers until they end, or nothing is left to do before `end`.
    pub(super) fn run_until<F: Future<Output = ()>>(
        &self,
        end: u64,
        workers: &mut Pin<Box<F>>,
    ) -> Poll<()> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        for _ in 0..1_000 {
            self.next.set(None);
            if workers.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                return Poll::Ready(());
            }
            if woken.0.swap(false, Relaxed) {
                continue;
            }
            match self.next.get().filter(|next| *next < at(end)) {
                Some(next) => self.now.set(next),
                None => break,
            }
        }
        assert!(self.next.get().is_none_or(|next| next >= at(end)), "no end of it");
        self.now.set(at(end));
        Poll::Pending
    }
}
