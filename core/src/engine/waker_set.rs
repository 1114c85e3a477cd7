//! The tasks that wait for one thing. Wakers are taken out under the lock and woken outside it.

use core::mem;
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
    /// asks again. That is the oldest, so that wakers of tasks that are no more do not stay.
    pub(crate) fn add(&mut self, waker: &Waker) -> Option<Waker> {
        if self.wakers.iter().any(|known| known.will_wake(waker)) {
            return None;
        }
        let is_full = self.wakers.is_full() && N > 0;
        let replaced = is_full.then(|| self.wakers.remove(0));
        match self.wakers.push(waker.clone()) {
            Ok(()) => replaced,
            // A set without room for anyone keeps everyone awake.
            Err(waker) => Some(waker),
        }
    }

    /// Takes out all.
    pub(crate) fn take_all(&mut self) -> Vec<Waker, N> {
        mem::take(&mut self.wakers)
    }
}

/// The workers that wait for an event, each under a key of its own: two of them may share a task
/// and so a waker, and one may move to another task.
pub(crate) struct Line<const N: usize> {
    waiting: Vec<(u32, Waker), N>,
    last_key: u32,
}

impl<const N: usize> Line<N> {
    pub(crate) const fn new() -> Self {
        Self { waiting: Vec::new(), last_key: 0 }
    }

    /// Joins, or stays under `key`. When there is no room, the waker it replaces comes back, as
    /// from [`WakerSet::add`].
    pub(crate) fn wait(&mut self, key: &mut Option<u32>, waker: &Waker) -> Option<Waker> {
        if let Some(own) = self.waiting.iter_mut().find(|own| Some(own.0) == *key) {
            own.1.clone_from(waker);
            return None;
        }
        self.last_key = self.last_key.wrapping_add(1);
        *key = Some(self.last_key);
        let replaced = self.waiting.is_full() && N > 0;
        let replaced = replaced.then(|| self.waiting.remove(0).1);
        match self.waiting.push((self.last_key, waker.clone())) {
            Ok(()) => replaced,
            Err((_, waker)) => Some(waker),
        }
    }

    /// Leaves; `false` when it is not there, so it has been woken.
    pub(crate) fn leave(&mut self, key: u32) -> bool {
        let place = self.waiting.iter().position(|own| own.0 == key);
        place.map(|place| self.waiting.remove(place)).is_some()
    }

    /// Takes out one.
    pub(crate) fn take(&mut self) -> Option<Waker> {
        self.waiting.pop().map(|(_, waker)| waker)
    }

    /// Takes out all.
    pub(crate) fn take_all(&mut self) -> Vec<(u32, Waker), N> {
        mem::take(&mut self.waiting)
    }
}
