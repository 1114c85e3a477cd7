//! The shared state: one queue, one breaker, one set of counters, behind one lock.

mod effects;
mod emit;
mod turn;
mod wait;
mod work;

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;

use effects::Effects;
use wait::Wait;

use crate::clock::Instant;
use crate::destination::EndpointBuf;
use crate::engine::config::Config;
use crate::engine::delivery::Fate;
use crate::engine::observer::{Notice, Observer};
use crate::engine::rate::Rate;
use crate::engine::state::{Snapshot, State};
use crate::engine::stats::{Backlog, Stats};
use crate::engine::waker_set::{WaitQueue, WakerSet, Woken};
use crate::event::EmitError;

/// The engine's shared state. Any number of emitters; as many workers as may have messages under way.
///
/// Type parameters: the raw mutex `M` (a critical section on a microcontroller, a real mutex on
/// std), the queue's buffer `B` (an array, a boxed slice), the kind of target `T` that a transport
/// sends to, the [`Observer`] `O`, which is told how every event ended, and `SLOTS`, which
/// sizes the lists of wakers and is how many messages may be under way or wait for their next attempt. 1 and up: 0 does not
/// compile.
///
/// Who calls what, and when:
/// - the host: [`swap`](Self::swap) to set an endpoint (without one, [`emit`](Self::emit) does
///   nothing), [`clear`](Self::clear) to disable, [`close`](Self::close) once, at the end;
/// - emitters: [`emit`](Self::emit), from any task, thread or interrupt;
/// - workers: [`run`](crate::run), which calls [`next`](Self::next) for a message and its attempt,
///   [`finish`](Self::finish) after it, and [`release`](Self::release) to give it back. It tells the observer how the
///   events in its hands ended; the dispatcher tells of all others.
///
/// ```
/// use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
/// use pilot_webhook_core::{Config, Dispatcher};
/// # const SEED: u64 = 1;
/// static DISPATCHER: Dispatcher<CriticalSectionRawMutex, [u8; 8192]> =
///     Dispatcher::new(Config::DEFAULT, [0; 8192], SEED);
/// ```
pub struct Dispatcher<M: RawMutex, B, T = EndpointBuf<256>, O = (), const SLOTS: usize = 1> {
    inner: Mutex<M, RefCell<Inner<B, T, SLOTS>>>,
    /// A hint, read without the lock, that the next event need not be encoded.
    refusing: AtomicBool,
    observer: O,
}

struct Inner<B, T, const SLOTS: usize> {
    state: State<B, T, SLOTS>,
    /// What was known of it after the last change.
    known: Snapshot,
    /// Counts events that became available, and changes.
    work: u32,
    /// Counts changes of the phase, the breaker, the endpoint, the pause, and batches that are full.
    changes: u32,
    /// Workers that wait for an event. A new event wakes one of them.
    idle: WaitQueue<SLOTS>,
    /// Workers that have one, or that wait for a time. A change wakes all.
    busy: WakerSet<SLOTS>,
    /// Emitters that wait for room.
    crowded: WakerSet<SLOTS>,
    /// Those who wait for no event to be left, or for the close.
    ending: WakerSet<SLOTS>,
}

impl<B, T, const SLOTS: usize> Inner<B, T, SLOTS> {
    const fn seen(&self) -> Seen {
        Seen { work: self.work, changes: self.changes }
    }
}

/// What was seen of the dispatcher when a decision was made, so that no change is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    work: u32,
    changes: u32,
}

/// A step of the state. By it, what all steps share is compiled once on a microcontroller. (`dyn FnMut` would have each of
/// them compiled twice, as it is `FnOnce`, too.)
trait Step<S> {
    fn take(&mut self, state: &mut S);
}

impl<S, F: FnMut(&mut S)> Step<S> for F {
    fn take(&mut self, state: &mut S) {
        self(state);
    }
}

impl<M: RawMutex, B, T, const SLOTS: usize> Dispatcher<M, B, T, (), SLOTS> {
    /// A dispatcher without an endpoint, over `buffer`. It can be a `static`.
    ///
    /// `seed` is a number that no other start of any node has: a random one. Message ids are unique
    /// by it, and jitter differs from node to node.
    #[must_use]
    pub const fn new(config: Config, buffer: B, seed: u64) -> Self {
        Self::with_observer(config, buffer, seed, ())
    }
}

impl<M, B, T, O, const SLOTS: usize> Dispatcher<M, B, T, O, SLOTS>
where
    M: RawMutex,
{
    /// As [`new`](Dispatcher::new), with an observer.
    #[must_use]
    pub const fn with_observer(config: Config, buffer: B, seed: u64, observer: O) -> Self {
        Self {
            inner: Mutex::new(RefCell::new(Inner {
                state: State::new(config, buffer, seed),
                known: Snapshot::FIRST,
                work: 0,
                changes: 0,
                idle: WaitQueue::new(),
                busy: WakerSet::new(),
                crowded: WakerSet::new(),
                ending: WakerSet::new(),
            })),
            refusing: AtomicBool::new(true),
            observer,
        }
    }

    fn lock<R>(&self, f: impl FnOnce(&mut Inner<B, T, SLOTS>) -> R) -> R {
        self.inner.lock(|inner| f(&mut inner.borrow_mut()))
    }

    /// They are taken out at once: those who are woken may come back before the last one is.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn wake_all(&self, take: fn(&mut Inner<B, T, SLOTS>) -> Woken<SLOTS>) {
        self.lock(take).wake();
    }

    /// Lets a worker that waits for an event, if there is one, ask for it: in place of one that was woken,
    /// or of the one with this key if it was.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn pass_on(&self, key: Option<u32>) {
        let waker = self.lock(|inner| {
            if key.is_some_and(|key| inner.idle.leave(key)) {
                return None;
            }
            inner.work = inner.work.wrapping_add(1);
            inner.idle.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The counters at this instant.
    pub fn stats(&self) -> Stats {
        self.lock(|inner| inner.state.stats())
    }

    /// The observer it was made with.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The config it was made with.
    pub fn config(&self) -> Config {
        self.lock(|inner| *inner.state.config())
    }

    /// Whether what is queued is on its way out for good: a clear or a close set a deadline.
    pub fn is_draining(&self) -> bool {
        self.lock(|inner| inner.state.deadline().is_some())
    }

    /// Where events go: like [`endpoint`](Self::endpoint), but `None` from a clear on, although
    /// what was queued still drains to the old endpoint.
    pub fn destination(&self) -> Option<T>
    where
        T: Clone,
    {
        self.lock(|inner| inner.state.destination().cloned())
    }

    /// The endpoint of the next attempt, if there is one, with a number that changes with it.
    pub fn endpoint(&self) -> Option<(u32, T)>
    where
        T: Clone,
    {
        let mut endpoint = None;
        self.copy_endpoint(&mut endpoint);
        endpoint
    }

    pub(crate) fn copy_endpoint(&self, copy: &mut Option<(u32, T)>)
    where
        T: Clone,
    {
        self.lock(|inner| {
            let state = &inner.state;
            *copy = state.endpoint().map(|endpoint| (state.endpoint_epoch, endpoint.clone()));
        });
    }
}

impl<M, B, T, O, const SLOTS: usize> Dispatcher<M, B, T, O, SLOTS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: Observer,
{
    /// The events that have not ended, at this instant.
    pub fn backlog(&self) -> Backlog {
        self.lock(|inner| inner.state.backlog())
    }

    /// Everything that changes the state goes through here: it wakes whom the change concerns, and
    /// tells the observer.
    #[inline]
    fn change(&self, mut step: impl FnMut(&mut State<B, T, SLOTS>)) -> Seen {
        #[cfg(target_pointer_width = "32")]
        let step: &mut dyn Step<State<B, T, SLOTS>> = &mut step;
        #[cfg(not(target_pointer_width = "32"))]
        let step = &mut step;
        self.take_step(step)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn take_step(&self, step: &mut (impl Step<State<B, T, SLOTS>> + ?Sized)) -> Seen {
        let (seen, effects) = self.lock(|inner| {
            step.take(&mut inner.state);
            self.refusing.store(inner.state.is_refusing(), Ordering::Relaxed);
            let effects = inner.effects();
            (inner.seen(), effects)
        });
        if let Some(effects) = effects {
            self.wake(effects);
        }
        seen
    }

    fn tell(&self, (event_id, fate): (u64, Fate)) {
        self.observer.notice(Notice::Settled { event_id, fate, message: None, attempt: 0 });
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn wake(&self, effects: Effects) {
        if let Some(waker) = effects.one {
            waker.wake();
        }
        if effects.idle {
            self.wake_all(|inner| inner.idle.take_all());
        }
        if effects.busy {
            self.wake_all(|inner| inner.busy.take_all());
        }
        if effects.room {
            self.wake_all(|inner| inner.crowded.take_all());
        }
        if effects.empty {
            self.wake_all(|inner| inner.ending.take_all());
        }
        if let Some(breaker) = effects.breaker {
            self.observer.notice(Notice::Breaker(breaker));
        }
        if let Some(ended) = effects.ended {
            self.tell(ended);
        }
    }

    /// Sends events to `endpoint` from now on: those that are queued, those that are being retried
    /// and those to come. The attempt under way is cancelled and made again there. Event ids go
    /// on, the breaker starts closed. Returns at once.
    ///
    /// # Errors
    /// [`EmitError::Closed`] after a close; nothing changed.
    pub fn swap(&self, endpoint: T) -> Result<(), EmitError> {
        self.swap_if(endpoint, |_, _| true)
    }

    /// Like [`swap`](Self::swap), but changes nothing when events go to `endpoint` already: the attempt
    /// under way, the breaker and a `Retry-After` go on.
    ///
    /// # Errors
    /// [`EmitError::Closed`] after a close; nothing changed.
    pub fn set_endpoint(&self, endpoint: T) -> Result<(), EmitError>
    where
        T: PartialEq,
    {
        self.swap_if(endpoint, |state, endpoint| !state.goes_to(endpoint))
    }

    fn swap_if(
        &self,
        endpoint: T,
        is_new: impl Fn(&State<B, T, SLOTS>, &T) -> bool,
    ) -> Result<(), EmitError> {
        let (mut endpoint, mut is_open) = (Some(endpoint), true);
        self.change(|state| {
            let new = endpoint.take_if(|endpoint| is_new(state, endpoint));
            is_open = new.is_none_or(|new| state.swap(new));
        });
        if is_open { Ok(()) } else { Err(EmitError::Closed) }
    }

    /// Disables: emit does nothing from now on. What is queued still goes to the endpoint for at
    /// most the drain timeout, and then counts as abandoned. Returns at once.
    pub fn clear(&self, now: Instant) {
        self.change(|state| state.clear(now));
    }

    /// As [`swap`](Self::swap), to an endpoint that is known to be [gone](crate::Verdict::Gone): nothing is sent until
    /// one is set, be it the same. For a host that remembers it.
    ///
    /// # Errors
    /// [`EmitError::Closed`] after a close; nothing changed.
    pub fn swap_to_gone(&self, endpoint: T) -> Result<(), EmitError> {
        let (mut endpoint, mut is_open) = (Some(endpoint), true);
        self.change(|state| {
            is_open = endpoint.take().is_none_or(|endpoint| state.swap(endpoint));
            if is_open {
                state.stop();
            }
        });
        if is_open { Ok(()) } else { Err(EmitError::Closed) }
    }

    /// Another rate than the config's from now on: no attempt begins sooner than its distance after `now`.
    pub fn set_rate(&self, rate: Rate, now: Instant) {
        self.change(|state| state.set_rate(rate, now));
    }

    /// Closes for good: like a clear, and the workers end when it is done. Returns at once;
    /// closing again does nothing.
    pub fn close(&self, now: Instant) {
        self.change(|state| state.close(now));
    }

    /// Completes when the dispatcher is closed and every event is accounted for. Any number of tasks may
    /// wait; beyond `SLOTS`, they wake one another.
    pub fn closed(&self) -> impl Future<Output = ()> {
        self.ended(State::is_closed)
    }

    /// Whether the dispatcher is closed and every event is accounted for.
    pub fn is_closed(&self) -> bool {
        self.lock(|inner| inner.state.is_closed())
    }

    /// Completes when no event is queued or in flight, for however short a time.
    pub fn drained(&self) -> impl Future<Output = ()> {
        self.ended(|state| state.snapshot().held == 0)
    }

    fn ended(
        &self,
        is_so: impl Fn(&State<B, T, SLOTS>) -> bool + Unpin,
    ) -> impl Future<Output = ()> {
        let look = move || ready_when(self.lock(|inner| is_so(&inner.state)));
        Wait::new(self, |inner| &mut inner.ending, look)
    }
}

const fn ready_when(is_so: bool) -> Poll<()> {
    if is_so { Poll::Ready(()) } else { Poll::Pending }
}
