//! Between those who hand in and the writer: what waits to be written, and what there is room for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::batch::{Attempt, Batch, Ended, Round, Tell};
use super::error::PutError;
use super::event::{EndpointId, NewEvent, Position};

/// So many events and ends are committed without waiting for more. Measured: four times as many save a
/// further half of the time, eight times as many nothing.
const GROUP: usize = 64;
/// What may wait in memory to be written, in bytes. Measured: with four times as many, no more events are written in a
/// second, and the process takes some 12 MB more.
const MEMORY: u64 = 2 << 20;

/// So many attempts may wait in memory to be noted: some 200 KB. What is not noted is tried again after a restart.
const ATTEMPTS: usize = 4096;

/// The lock is held for as long as copying an event takes.
#[derive(Debug)]
pub(crate) struct Intake {
    state: Mutex<State>,
    /// The writer waits here.
    work: Condvar,
    /// Tasks that wait for room, or for the end.
    news: Notify,
    max_bytes: u64,
    delay: Duration,
}

#[derive(Debug)]
struct State {
    batch: Batch,
    /// When the first of the batch came.
    since: Option<Instant>,
    /// Somebody waits for the batch.
    is_urgent: bool,
    /// Somebody waits for the writer to look after the file.
    is_called: bool,
    /// In the batch and in the writer's hands.
    waiting_bytes: u64,
    stored_bytes: u64,
    disk_fails: bool,
    /// The file is damaged.
    is_damaged: bool,
    phase: Phase,
    lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Closed,
}

/// Why the writer stopped waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There is a batch to be written.
    Batch,
    /// It is time to look after the file.
    Time,
    /// The outbox was closed, and there is nothing left to be written.
    Closed,
}

impl State {
    /// Whether the batch is to be written now.
    fn is_due(&self, now: Instant, delay: Duration) -> bool {
        !self.batch.is_empty()
            && (self.is_urgent
                || self.phase != Phase::Open
                || self.batch.len() >= GROUP
                || self.since.is_some_and(|since| now.duration_since(since) >= delay))
    }

    /// What the writer is woken for when it changes.
    const fn calls(&self) -> (bool, bool, bool, Phase) {
        (self.batch.len() >= GROUP, self.is_urgent, self.is_called, self.phase)
    }

    /// What is waited for is counted as if it were stored.
    fn admit(&self, size: u64, max_bytes: u64) -> Result<(), PutError> {
        let fits = |taken: u64, most: u64| taken.checked_add(size).is_some_and(|sum| sum <= most);
        if self.phase != Phase::Open {
            Err(PutError::Closed)
        } else if size > max_bytes {
            Err(PutError::TooLarge)
        } else if self.disk_fails || self.is_damaged {
            Err(PutError::Disk)
        } else if !fits(self.stored_bytes + self.waiting_bytes, max_bytes)
            || (self.waiting_bytes > 0 && !fits(self.waiting_bytes, MEMORY))
        {
            Err(PutError::Full)
        } else {
            Ok(())
        }
    }
}

impl Intake {
    pub(crate) fn new(max_bytes: u64, delay: Duration, stored_bytes: u64) -> Self {
        let state = State {
            batch: Batch::default(),
            since: None,
            is_urgent: false,
            is_called: false,
            waiting_bytes: 0,
            stored_bytes,
            disk_fails: false,
            is_damaged: false,
            phase: Phase::Open,
            lost: 0,
        };
        Self { state: state.into(), work: Condvar::new(), news: Notify::new(), max_bytes, delay }
    }

    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under it is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the writer when that gave it a reason to begin or to count the time.
    fn hand_in<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state();
        let was = state.calls();
        let result = change(&mut state);
        let is_first = state.since.is_none() && !state.batch.is_empty();
        if is_first {
            state.since = Some(Instant::now());
        }
        let wakes = is_first || was != state.calls();
        drop(state);
        if wakes {
            self.work.notify_one();
        }
        result
    }

    /// The reply is made when the unit is taken.
    pub(crate) fn put(
        &self,
        events: &[NewEvent<'_>],
        position: Option<Position<'_>>,
        reply: impl FnOnce() -> Tell,
    ) -> Result<(), PutError> {
        if events.iter().any(|event| event.endpoints.is_empty()) {
            return Err(PutError::NoEndpoint);
        }
        let size = events.iter().map(NewEvent::size).sum();
        self.hand_in(|state| {
            state.admit(size, self.max_bytes)?;
            state.waiting_bytes += size;
            state.batch.push(events, position, reply());
            Ok(())
        })
    }

    pub(crate) fn end(&self, ended: Ended) {
        self.hand_in(|state| {
            if state.phase != Phase::Closed {
                state.batch.ends.push(ended);
            }
        });
    }

    /// An attempt failed, of which the file is to know. While the disk fails, it does not know of all.
    pub(crate) fn attempted(&self, attempt: Attempt) {
        self.hand_in(|state| {
            if state.phase != Phase::Closed && state.batch.rounds.len() < ATTEMPTS {
                state.batch.rounds.push(Round::GoesOn(attempt));
            }
        });
    }

    /// The attempts that the file knows of for an endpoint are of rounds that are over.
    pub(crate) fn all_anew(&self, endpoint: EndpointId) {
        self.hand_in(|state| {
            if state.phase != Phase::Closed {
                let rounds = &mut state.batch.rounds;
                rounds.retain(|round| round.endpoint() != endpoint);
                rounds.push(Round::AllAnew(endpoint));
            }
        });
    }

    /// The file is to have an endpoint, before the events that are handed in from now on.
    pub(crate) fn name(&self, id: EndpointId, name: &str) -> Result<(), PutError> {
        self.hand_in(|state| match state.phase {
            Phase::Open => {
                state.batch.names.push((id, name.to_owned()));
                Ok(())
            }
            Phase::Closing | Phase::Closed => Err(PutError::Closed),
        })
    }

    /// The writer is to look after the file now.
    pub(crate) fn call(&self) {
        self.hand_in(|state| state.is_called = true);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state().phase == Phase::Open
    }

    /// Somebody waits for what was handed in.
    pub(crate) fn hurry(&self) {
        self.hand_in(|state| state.is_urgent = !state.batch.is_empty());
    }

    /// Nothing more is taken; the writer writes what is there and ends.
    pub(crate) fn close(&self) {
        self.hand_in(|state| {
            if state.phase == Phase::Open {
                state.phase = Phase::Closing;
            }
        });
        self.news.notify_waiters();
    }

    /// Waits, until `time` at most, and swaps the batch that is due for `empty`.
    pub(crate) fn take(&self, empty: &mut Batch, time: Instant) -> Woken {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            if state.is_due(now, self.delay) {
                std::mem::swap(&mut state.batch, empty);
                (state.since, state.is_urgent) = (None, false);
                return Woken::Batch;
            }
            if state.phase != Phase::Open {
                return Woken::Closed;
            }
            if now >= time || std::mem::take(&mut state.is_called) {
                return Woken::Time;
            }
            let until = state.since.map_or(time, |since| time.min(since + self.delay));
            let waited = self.work.wait_timeout(state, until.duration_since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends that came while the writer tries again are taken along.
    pub(crate) fn take_ends(&self, ends: &mut Vec<Ended>) {
        let mut state = self.state();
        ends.append(&mut state.batch.ends);
        if state.batch.is_empty() {
            (state.since, state.is_urgent) = (None, false);
        }
    }

    /// Waits `time`, or until the outbox is closed, and returns whether it is.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.state();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.phase != Phase::Open || left.is_zero() {
                return state.phase != Phase::Open;
            }
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Events that took `written` bytes of what waited are on disk, and the file is as told.
    pub(crate) fn committed(&self, written: u64, stored_bytes: u64) {
        let mut state = self.state();
        state.waiting_bytes -= written;
        state.stored_bytes = stored_bytes;
        drop(state);
        self.news.notify_waiters();
    }

    /// Whether the disk fails or is nearly full: nothing is taken then.
    pub(crate) fn disk_fails(&self, fails: bool) {
        let was = std::mem::replace(&mut self.state().disk_fails, fails);
        if was && !fails {
            self.news.notify_waiters();
        }
    }

    /// The file is damaged: nothing is taken any more.
    pub(crate) fn damaged(&self) {
        self.state().is_damaged = true;
    }

    /// The writer has ended, and this many events are lost beside those that it finds here.
    pub(crate) fn writer_ended(&self, lost: usize) {
        let mut state = self.state();
        state.phase = Phase::Closing;
        let left = state.batch.lost();
        state.lost += (lost + left) as u64;
        drop(state);
        self.news.notify_waiters();
    }

    /// The file is closed.
    pub(crate) fn closed(&self) {
        self.state().phase = Phase::Closed;
        self.news.notify_waiters();
    }

    async fn until<R>(&self, mut look: impl FnMut(&State) -> Option<R>) -> R {
        loop {
            // Made before the look, so that news between the two are not missed.
            let news = self.news.notified();
            let found = look(&self.state());
            match found {
                Some(found) => return found,
                None => news.await,
            }
        }
    }

    pub(crate) async fn room(&self, size: u64) -> Result<(), PutError> {
        self.until(|state| match state.admit(size, self.max_bytes) {
            Err(PutError::Full | PutError::Disk) => None,
            otherwise => Some(otherwise),
        })
        .await
    }

    /// Something is done that somebody may wait for.
    pub(crate) fn tell(&self) {
        self.news.notify_waiters();
    }

    /// Completes with true when `is_done`, which is asked again whenever something is done; with false when the outbox is
    /// closed before.
    pub(crate) async fn done(&self, is_done: impl Fn() -> bool) -> bool {
        self.until(|state| match is_done() {
            true => Some(true),
            false => (state.phase != Phase::Open).then_some(false),
        })
        .await
    }

    /// Completes when the file is closed, with the number of events that were lost.
    pub(crate) async fn end_of_all(&self) -> u64 {
        self.until(|state| (state.phase == Phase::Closed).then_some(state.lost)).await
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
