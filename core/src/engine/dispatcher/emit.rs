//! What emitters ask.

use core::sync::atomic::Ordering;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;

use super::wait::Wait;
use super::{Dispatcher, ready_when};
use crate::engine::delivery::Tried;
use crate::engine::observer::Observer;
use crate::event::{Data, EmitError, Event};
use crate::json::EncodeError;
use crate::queue::Encoded;

impl<M, B, T, O, const SLOTS: usize> Dispatcher<M, B, T, O, SLOTS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: Observer,
{
    /// Turns an event away that would be whatever is in it, so that it need not be made: the answer
    /// is that of [`emit`](Self::emit), which asks here, too. `None`: make it, and emit it.
    #[inline]
    pub fn refuse(&self) -> Option<Result<Option<u64>, EmitError>> {
        // A hint that is late by an event's time changes nothing: the lock decides.
        if self.refusing.load(Ordering::Relaxed) { self.refuse_for_sure() } else { None }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn refuse_for_sure(&self) -> Option<Result<Option<u64>, EmitError>> {
        let (answer, ended) = self.lock(|inner| (inner.state.refuse(), inner.state.ended.take()));
        if let Some(ended) = ended {
            self.tell(ended);
        }
        answer
    }

    /// Takes in an event; returns its id, or `None` when there is no endpoint. Never waits and
    /// never allocates. The topic and the data are encoded in `scratch` outside the lock (so that an
    /// interrupt is held up by a copy only), which should be 4 bytes longer than
    /// [`Config::max_event_bytes`](crate::Config::max_event_bytes).
    ///
    /// # Errors
    /// When it is not queued. Unless the dispatcher is closed, it was counted.
    pub fn emit<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        // One with an id of its own is told by it.
        if event.id.is_none()
            && let Some(answer) = self.refuse()
        {
            return answer;
        }
        match Encoded::new(event, data, scratch) {
            // Each round that does not take it in drops an older one.
            Ok(event) => loop {
                if let Some(answer) = self.push(&event, false) {
                    return answer;
                }
            },
            Err(error) => self.refuse_payload(event.id, error),
        }
    }

    fn push(&self, event: &Encoded<'_>, wait: bool) -> Option<Result<Option<u64>, EmitError>> {
        let mut answer = None;
        self.change(|state| answer = state.push(event, wait));
        answer
    }

    #[cold]
    fn refuse_payload(
        &self,
        given: Option<u64>,
        error: EncodeError,
    ) -> Result<Option<u64>, EmitError> {
        let mut answer = Ok(None);
        self.change(|state| answer = state.refuse_payload(given, error));
        answer
    }

    /// Like [`emit`](Self::emit), but an event that has no room is the caller's still: it drops no other, and is not
    /// counted.
    ///
    /// # Errors
    /// As `emit`.
    pub fn emit_if_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        match Encoded::new(event, data, scratch) {
            Ok(event) => self.push(&event, true).unwrap_or(Err(EmitError::Full)),
            Err(error) => self.refuse_payload(event.id, error),
        }
    }

    /// The answer of [`emit_if_room`](Self::emit_if_room) to an event that it would turn away as it has no room, or for
    /// want of an endpoint; `None` when it would not. Nothing is counted.
    pub fn would_refuse<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Option<Result<Option<u64>, EmitError>> {
        let event = Encoded::new(event, data, scratch).ok();
        self.lock(|inner| inner.state.would_refuse(event.as_ref()))
    }

    /// Like [`emit`](Self::emit), but waits until there is room: where the queue was full, until it
    /// is half empty. Cancel-safe: when the future is dropped, the event was not taken. Any number of
    /// tasks may wait; beyond `SLOTS`, they wake one another.
    ///
    /// # Errors
    /// As `emit`, but for [`EmitError::Full`].
    pub async fn emit_when_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        match Encoded::new(event, data, scratch) {
            Ok(event) => self.when_room(|| self.push(&event, true)).await,
            Err(error) => self.refuse_payload(event.id, error),
        }
    }

    /// Like [`emit_when_room`](Self::emit_when_room), for an event that was tried before, by an earlier start of its host: it
    /// goes on at its attempt, when that is due. Those that are handed in one after the other with the same story are a batch
    /// again. Where as many messages wait for their next attempt as may, its attempts begin anew.
    ///
    /// # Errors
    /// As `emit_when_room`.
    pub async fn emit_tried<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
        tried: Tried,
    ) -> Result<Option<u64>, EmitError> {
        let event = match Encoded::new(event, data, scratch) {
            Ok(event) => event,
            Err(error) => return self.refuse_payload(event.id, error),
        };
        let push = || {
            let mut answer = None;
            self.change(|state| {
                answer = state.push(&event, true);
                if let Some(Ok(Some(id))) = answer {
                    state.go_on(id, tried);
                }
            });
            answer
        };
        let answer = self.when_room(push).await;
        // It may be due before what a worker waits for.
        self.pass_on(None);
        answer
    }

    /// One that waits drops no other, so `push` always has an answer.
    fn when_room(
        &self,
        push: impl Fn() -> Option<Result<Option<u64>, EmitError>> + Unpin,
    ) -> impl Future<Output = Result<Option<u64>, EmitError>> {
        let look = move || match push() {
            Some(Err(EmitError::Full)) | None => Poll::Pending,
            Some(answer) => Poll::Ready(answer),
        };
        Wait::new(self, |inner| &mut inner.crowded, look)
    }

    /// Completes when at least half of the queue is free, or when events are turned away for another reason: the
    /// moment to emit again after [`EmitError::Full`], for sources that wait so long and no longer. Cancel-safe.
    /// Up to `SLOTS` tasks may wait; beyond `SLOTS`, they wake one another.
    pub async fn room(&self) {
        let look = || ready_when(self.lock(|inner| inner.state.is_worth_a_try()));
        Wait::new(self, |inner| &mut inner.crowded, look).await;
    }
}
