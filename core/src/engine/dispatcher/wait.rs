//! One who waits in a set of wakers.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use embassy_sync::blocking_mutex::raw::RawMutex;

use super::{Dispatcher, Inner};
use crate::engine::waker_set::{Waiter, WakerSet};

/// The set that one waits in.
pub(super) type SetOf<B, T, const SLOTS: usize> =
    fn(&mut Inner<B, T, SLOTS>) -> &mut WakerSet<SLOTS>;

/// Completes when `look` has an answer. It looks whenever those in the set are woken.
pub(super) struct Wait<'d, M: RawMutex, B, T, O, L, const SLOTS: usize> {
    pub(super) dispatcher: &'d Dispatcher<M, B, T, O, SLOTS>,
    pub(super) set: SetOf<B, T, SLOTS>,
    pub(super) look: L,
    pub(super) waiter: Waiter,
}

impl<'d, M: RawMutex, B, T, O, L, const SLOTS: usize> Wait<'d, M, B, T, O, L, SLOTS> {
    pub(super) fn new(
        dispatcher: &'d Dispatcher<M, B, T, O, SLOTS>,
        set: SetOf<B, T, SLOTS>,
        look: L,
    ) -> Self {
        Self { dispatcher, set, look, waiter: Waiter::default() }
    }

    fn leave(&mut self) {
        if self.waiter.has_joined() {
            self.dispatcher.leave(self.set, &mut self.waiter);
        }
    }
}

/// Compiled once for all that wait.
impl<M: RawMutex, B, T, O, const SLOTS: usize> Dispatcher<M, B, T, O, SLOTS> {
    #[inline(never)]
    fn join(&self, set: SetOf<B, T, SLOTS>, waiter: &mut Waiter, waker: &Waker) {
        self.lock(|inner| set(inner).join(waiter, waker)).wake();
    }

    #[inline(never)]
    fn leave(&self, set: SetOf<B, T, SLOTS>, waiter: &mut Waiter) {
        self.lock(|inner| set(inner).leave(waiter)).wake();
    }
}

impl<M, B, T, O, L, R, const SLOTS: usize> Future for Wait<'_, M, B, T, O, L, SLOTS>
where
    M: RawMutex,
    L: FnMut() -> Poll<R> + Unpin,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let mut has_joined = false;
        loop {
            let answer = (self.look)();
            if answer.is_ready() {
                self.leave();
            }
            // After joining it looks again: what came between the two is not missed.
            if answer.is_ready() || mem::replace(&mut has_joined, true) {
                return answer;
            }
            let Self { dispatcher, set, waiter, .. } = &mut *self;
            dispatcher.join(*set, waiter, cx.waker());
        }
    }
}

impl<M: RawMutex, B, T, O, L, const SLOTS: usize> Drop for Wait<'_, M, B, T, O, L, SLOTS> {
    fn drop(&mut self) {
        self.leave();
    }
}
