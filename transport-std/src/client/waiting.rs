//! Lets any number of tasks wait on the engine, none of which delays another.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Notify;

/// The tasks that wait for one kind of change.
///
/// The engine's lists wake a fixed number of tasks directly, and tasks beyond it wake one another: one that
/// is woken and not polled would delay those behind it. Here all of them show the engine the same waker, and
/// tokio's list, which has no bound, wakes each of them.
pub(crate) struct Waiting {
    tasks: Arc<Tasks>,
    waker: Waker,
}

#[derive(Default)]
struct Tasks(Notify);

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_waiters();
    }
}

impl Waiting {
    pub(crate) fn new() -> Self {
        let tasks = Arc::<Tasks>::default();
        Self { waker: Waker::from(Arc::clone(&tasks)), tasks }
    }

    /// Completes with `future`, which is polled once, and again after each change. Cancel-safe if
    /// `future` is.
    pub(crate) async fn until<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            // Made before the poll, so that a change between the two is not missed.
            let changed = self.tasks.0.notified();
            let polled = future.as_mut().poll(&mut Context::from_waker(&self.waker));
            if let Poll::Ready(output) = polled {
                return output;
            }
            changed.await;
        }
    }
}
