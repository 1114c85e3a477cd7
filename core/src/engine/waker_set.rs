//! The tasks that wait for one thing. Wakers are taken out under the lock and woken outside it.

use core::mem;
use core::task::Waker;

/// The key of one who waits, and its waker.
type Place = (u32, Waker);

/// Up to `N` who wait.
struct Places<const N: usize> {
    places: [Option<Place>; N],
    /// How many of them are taken. Mostly none is, and then [`take`](Self::take) looks at none.
    taken: usize,
}

impl<const N: usize> Places<N> {
    const fn new() -> Self {
        Self { places: [const { None }; N], taken: 0 }
    }

    /// Puts one down: in a free place, or else in the last one. Who stood there comes back.
    fn put(&mut self, place: Place) -> Option<Place> {
        let at = self.places.iter().position(Option::is_none).or(N.checked_sub(1));
        let Some(own) = at.and_then(|at| self.places.get_mut(at)) else { return Some(place) };
        let behind = own.replace(place);
        self.taken += usize::from(behind.is_none());
        behind
    }

    fn find(&mut self, key: u32) -> Option<&mut Option<Place>> {
        self.places.iter_mut().find(|place| place.as_ref().is_some_and(|(known, _)| *known == key))
    }

    /// Takes the one with this key out, and puts `behind` in its place. When it is not there, `behind` comes back.
    fn leave(&mut self, key: u32, behind: Option<Place>) -> Result<(), Option<Place>> {
        let freed = usize::from(behind.is_none());
        let Some(place) = self.find(key) else { return Err(behind) };
        let gone = mem::replace(place, behind);
        self.taken -= freed;
        drop(gone);
        Ok(())
    }

    /// Takes out one, from the last place on.
    fn take(&mut self) -> Option<Place> {
        if self.taken == 0 {
            return None;
        }
        self.taken -= 1;
        self.places.iter_mut().rev().find_map(Option::take)
    }

    fn take_all(&mut self) -> Woken<N> {
        Woken { all: Some(mem::replace(self, Self::new())), behind: None }
    }
}

/// Any number of tasks, of which `N` are woken directly.
///
/// Beyond `N`, who comes takes the last place and keeps the waker that stood there, in its own future; it
/// passes the wake-up on when it gets it. So nobody is woken for nothing, and no memory is needed but that
/// of those who wait. (One who is woken and does not look keeps those behind it waiting.)
pub(crate) struct WakerSet<const N: usize> {
    places: Places<N>,
    last_key: u32,
    /// Counts how often all were taken out: who came before is no longer in it.
    round: u32,
}

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
    /// Not there, mostly: they are as long as the set.
    all: Option<Places<N>>,
    behind: Option<Place>,
}

impl<const N: usize> Woken<N> {
    const fn nobody() -> Self {
        Self { all: None, behind: None }
    }

    pub(crate) fn wake(self) {
        if let Some(all) = self.all {
            all.places.into_iter().flatten().for_each(|(_, waker)| waker.wake());
        }
        if let Some((_, waker)) = self.behind {
            waker.wake();
        }
    }
}

impl<const N: usize> WakerSet<N> {
    pub(crate) const fn new() -> Self {
        const { assert!(N > 0, "a dispatcher has a slot at least") };
        Self { places: Places::new(), last_key: 0, round: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.places.taken == 0
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
        waiter.behind = self.places.put(place);
        woken
    }

    /// One no longer waits: the one behind it has its place again.
    pub(crate) fn leave(&mut self, waiter: &mut Waiter) -> Woken<N> {
        let behind = waiter.behind.take();
        let own = waiter.own.take().filter(|(round, _)| *round == self.round);
        let Some((_, (key, _))) = own else { return Woken { all: None, behind } };
        match self.places.leave(key, behind) {
            Ok(()) | Err(None) => Woken::nobody(),
            // Its place was taken, and nobody else knows the one behind it: all come again.
            Err(behind) => Woken { behind, ..self.take_all() },
        }
    }

    /// Takes out all.
    pub(crate) fn take_all(&mut self) -> Woken<N> {
        self.round = self.round.wrapping_add(1);
        self.places.take_all()
    }
}

/// The workers that wait for an event, each under a key of its own: two of them may share a task
/// and so a waker, and one may move to another task.
pub(crate) struct WaitQueue<const N: usize> {
    places: Places<N>,
    last_key: u32,
}

impl<const N: usize> WaitQueue<N> {
    pub(crate) const fn new() -> Self {
        Self { places: Places::new(), last_key: 0 }
    }

    /// Joins, or stays under `key`. When there is no room, which is when there are more than `N`
    /// workers, the waker it replaces comes back, to be woken: it asks again.
    pub(crate) fn wait(&mut self, key: &mut Option<u32>, waker: &Waker) -> Option<Waker> {
        if let Some(Some((_, own))) = key.and_then(|key| self.places.find(key)) {
            own.clone_from(waker);
            return None;
        }
        self.last_key = self.last_key.wrapping_add(1);
        *key = Some(self.last_key);
        self.places.put((self.last_key, waker.clone())).map(|(_, waker)| waker)
    }

    /// Leaves; `false` when it is not there, so it has been woken.
    pub(crate) fn leave(&mut self, key: u32) -> bool {
        self.places.leave(key, None).is_ok()
    }

    /// Takes out one: of those who came one after the other, the last.
    pub(crate) fn take(&mut self) -> Option<Waker> {
        self.places.take().map(|(_, waker)| waker)
    }

    /// Takes out all.
    pub(crate) fn take_all(&mut self) -> Woken<N> {
        self.places.take_all()
    }
}

#[cfg(test)]
mod tests;
