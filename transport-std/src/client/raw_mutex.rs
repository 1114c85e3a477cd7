//! The dispatcher's lock on std: a mutex that is held for as long as copying an event takes.

use std::sync::{Mutex, PoisonError};

use embassy_sync::blocking_mutex::raw::RawMutex;

/// A [`RawMutex`] over [`std::sync::Mutex`]. It is not reentrant: the dispatcher runs no code of its
/// caller under the lock.
#[derive(Debug)]
pub struct StdRawMutex(Mutex<()>);

// SAFETY: `lock` runs `f` while holding the one mutex of this object, so no two calls on it
// overlap, on any threads.
#[allow(unsafe_code, reason = "the trait is unsafe to implement; see SAFETY")]
unsafe impl RawMutex for StdRawMutex {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait asks for it")]
    const INIT: Self = Self(Mutex::new(()));

    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        // The mutex guards no data of its own, so a panic under it leaves nothing broken in it.
        let _guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use embassy_sync::blocking_mutex::Mutex;

    use super::*;

    #[test]
    fn calls_on_many_threads_do_not_overlap() {
        let counter = Mutex::<StdRawMutex, _>::new(Cell::new(0_u64));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        // Not atomic: overlapping calls would lose counts.
                        counter.lock(|cell| cell.set(cell.get() + 1));
                    }
                });
            }
        });
        assert_eq!(counter.lock(Cell::get), 200_000);
    }

    #[test]
    fn a_panic_under_the_lock_does_not_lock_it_for_good() {
        let mutex = Mutex::<StdRawMutex, _>::new(Cell::new(1));
        let panicked = catch_unwind(AssertUnwindSafe(|| mutex.lock(|_| panic!("expected"))));
        assert!(panicked.is_err());
        assert_eq!(mutex.lock(Cell::get), 1);
    }
}
