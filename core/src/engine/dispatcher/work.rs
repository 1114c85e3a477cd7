//! A worker that waits for an event.

use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::RawMutex;

use super::Dispatcher;

/// The future behind [`Dispatcher::work`].
pub(super) struct Work<'d, M: RawMutex, B, T, O, const SLOTS: usize> {
    pub(super) dispatcher: &'d Dispatcher<M, B, T, O, SLOTS>,
    pub(super) seen: u32,
    /// Its key in the line, from the first poll on until it is complete.
    pub(super) key: Option<u32>,
}

impl<M: RawMutex, B, T, O, const SLOTS: usize> Future for Work<'_, M, B, T, O, SLOTS> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { dispatcher, seen, key } = &mut *self;
        let (poll, replaced) = dispatcher.lock(|inner| {
            if inner.work == *seen {
                (Poll::Pending, inner.idle.wait(key, cx.waker()))
            } else {
                // Who is about to ask for an event takes no wake-up and passes none on.
                key.take().map(|key| inner.idle.leave(key));
                (Poll::Ready(()), None)
            }
        });
        if let Some(waker) = replaced {
            waker.wake();
        }
        poll
    }
}

impl<M: RawMutex, B, T, O, const SLOTS: usize> Drop for Work<'_, M, B, T, O, SLOTS> {
    fn drop(&mut self) {
        if self.key.is_some() {
            self.dispatcher.pass_on(self.key);
        }
    }
}
