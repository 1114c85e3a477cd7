//! The tasks that wait for one thing. Wakers are taken out under the lock and woken outside it.

use core::mem;
use core::task::Waker;

use heapless::Vec;

/// Any number of tasks, of which `N` are woken directly.
///
/// Beyond `N`, who comes takes the last place and keeps the waker that stood there, in its own future; it
/// passes the wake-up on when it gets it. So nobody is woken for nothing, and no memory is needed but that
/// of those who wait. (One who is woken and does not look keeps those behind it waiting.)
pub(crate) struct WakerSet<const N: usize> {
    wakers: Vec<Place, N>,
    last_key: u32,
    /// Counts how often all were taken out: who came before is no longer in it.
    round: u32,
}

/// The key of one who waits, and its waker.
type Place = (u32, Waker);

/// One who waits, or has waited: what it must remember.
#[derive(Default)]
pub(crate) struct Waiter {
    /// The round that it is in, and its place.
    own: Option<(u32, Place)>,
    /// The one whose place it took.
    behind: Option<Place>,
}

impl Waiter {
    /// Whether it has been put down, so that it must leave.
    pub(crate) const fn has_joined(&self) -> bool {
        self.own.is_some() || self.behind.is_some()
    }
}

/// Who is to be woken outside the lock.
#[must_use = "to be woken"]
pub(crate) struct Woken<const N: usize> {
    all: Vec<Place, N>,
    behind: Option<Place>,
}

impl<const N: usize> Woken<N> {
    const fn nobody() -> Self {
        Self { all: Vec::new(), behind: None }
    }

    pub(crate) fn wake(self) {
        self.all.into_iter().chain(self.behind).for_each(|(_, waker)| waker.wake());
    }
}

impl<const N: usize> WakerSet<N> {
    pub(crate) const fn new() -> Self {
        Self { wakers: Vec::new(), last_key: 0, round: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Puts one down who waits, unless it stands there already.
    pub(crate) fn join(&mut self, waiter: &mut Waiter, waker: &Waker) -> Woken<N> {
        if let Some((round, (_, own))) = &waiter.own
            && *round == self.round
            && own.will_wake(waker)
        {
            return Woken::nobody();
        }
        // It was woken, or moved to another task.
        let woken = self.leave(waiter);
        self.last_key = self.last_key.wrapping_add(1);
        let place = (self.last_key, waker.clone());
        waiter.own = Some((self.round, place.clone()));
        if let Err(place) = self.wakers.push(place) {
            match self.wakers.last_mut() {
                Some(last) => waiter.behind = Some(mem::replace(last, place)),
                // A set without places keeps everyone awake.
                None => place.1.wake(),
            }
        }
        woken
    }

    /// One no longer waits: the one behind it has its place again.
    pub(crate) fn leave(&mut self, waiter: &mut Waiter) -> Woken<N> {
        let behind = waiter.behind.take();
        let own = waiter.own.take().filter(|(round, _)| *round == self.round);
        let Some((_, (key, _))) = own else { return Woken { all: Vec::new(), behind } };
        let place = self.wakers.iter().position(|(known, _)| *known == key);
        match (place, behind) {
            (Some(place), Some(behind)) => self.wakers[place] = behind,
            (Some(place), None) => drop(self.wakers.remove(place)),
            // Its place was taken, and nobody else knows the one behind it: all come again.
            (None, behind @ Some(_)) => return Woken { behind, ..self.take_all() },
            (None, None) => {}
        }
        Woken::nobody()
    }

    /// Takes out all.
    pub(crate) fn take_all(&mut self) -> Woken<N> {
        self.round = self.round.wrapping_add(1);
        Woken { all: mem::take(&mut self.wakers), behind: None }
    }
}

/// The workers that wait for an event, each under a key of its own: two of them may share a task
/// and so a waker, and one may move to another task.
pub(crate) struct WaitQueue<const N: usize> {
    waiting: Vec<(u32, Waker), N>,
    last_key: u32,
}

impl<const N: usize> WaitQueue<N> {
    pub(crate) const fn new() -> Self {
        Self { waiting: Vec::new(), last_key: 0 }
    }

    /// Joins, or stays under `key`. When there is no room, which is when there are more than `N`
    /// workers, the waker it replaces comes back, to be woken: it asks again.
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

#[cfg(test)]
mod tests;
