//! Lets any number of tasks wait on the engine with one waker in the engine's lists.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Notify;

/// The tasks that wait for one kind of change.
///
/// The engine's lists hold a fixed number of wakers, and one more wakes the oldest: tasks beyond that
/// number would wake each other without end. Here the engine holds one waker for all of them, and
/// tokio's list, which has no bound, holds theirs.
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
