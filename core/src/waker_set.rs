//! The tasks that wait for one thing. Wakers are taken out under the lock and woken outside it.

use core::task::Waker;

use heapless::Vec;

pub(crate) struct WakerSet<const N: usize> {
    wakers: Vec<Waker, N>,
}

impl<const N: usize> WakerSet<N> {
    pub(crate) const fn new() -> Self {
        Self { wakers: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Adds a waker. When there is no room, the one it replaces comes back, to be woken: its task
    /// asks again.
    pub(crate) fn add(&mut self, waker: &Waker) -> Option<Waker> {
        if self.wakers.iter().any(|known| known.will_wake(waker)) {
            return None;
        }
        let replaced = if self.wakers.is_full() { self.wakers.pop() } else { None };
        match self.wakers.push(waker.clone()) {
            Ok(()) => replaced,
            // A set without room for anyone keeps everyone awake.
            Err(waker) => Some(waker),
        }
    }

    /// Removes a waker; `false` when it is not there, so its task has been woken.
    pub(crate) fn remove(&mut self, waker: &Waker) -> bool {
        let place = self.wakers.iter().position(|known| known.will_wake(waker));
        place.map(|index| self.wakers.swap_remove(index)).is_some()
    }

    /// Takes out one.
    pub(crate) fn take(&mut self) -> Option<Waker> {
        self.wakers.pop()
    }
}
