//! The engine as it is put together on std, in one of two sizes.
//!
//! Its lists have a fixed length, and take 144 bytes for each place. With places for the most POSTs in flight they would be
//! half of the memory of an endpoint with one POST in flight, which is the default.

use memmap2::MmapMut;
#[cfg(feature = "outbox")]
use pilot_webhook_core::Tried;
use pilot_webhook_core::{
    Backlog, Config, Data, Dispatcher, EmitError, Encoding, Event, Instant, Rate, SendTransport,
    Stats, run,
};

use crate::client::clock::TokioClock;
use crate::client::observer::LogObserver;
use crate::client::raw_mutex::StdRawMutex;
use crate::client::worker::Target;

/// The most POSTs in flight, each by a worker of its own. Arbitrary: more than any benchmark gains from.
pub(crate) const MAX_IN_FLIGHT: u16 = 64;
/// The messages that are in flight, and as many that wait for their next attempt.
const MANY: usize = 2 * MAX_IN_FLIGHT as usize;
/// The same for up to 16 in flight. As many events may be under suspicion at a time (`OnOpen::Hold`). Arbitrary: the lists take
/// little more than the target.
const FEW: usize = 32;

type Of<To, const SLOTS: usize> = Dispatcher<StdRawMutex, MmapMut, To, LogObserver, SLOTS>;

/// The dispatcher. Its methods are those of [`Dispatcher`].
pub(crate) enum Engine<To> {
    Small(Box<Of<To, FEW>>),
    Large(Box<Of<To, MANY>>),
}

/// Does the same with either.
macro_rules! either {
    ($engine:expr, $it:ident => $what:expr) => {
        match $engine {
            Engine::Small($it) => $what,
            Engine::Large($it) => $what,
        }
    };
}

impl<To: Target> Engine<To> {
    /// As large as the POSTs in flight ask for.
    pub(crate) fn new(config: Config, queue: MmapMut, seed: u64, observer: LogObserver) -> Self {
        if usize::from(config.max_in_flight) * 2 <= FEW {
            Self::Small(Box::new(Dispatcher::with_observer(config, queue, seed, observer)))
        } else {
            Self::Large(Box::new(Dispatcher::with_observer(config, queue, seed, observer)))
        }
    }

    /// Delivers with one worker.
    pub(crate) async fn run<S: SendTransport<To>>(
        &self,
        transport: &mut S,
        clock: &TokioClock,
        encoding: Encoding<'_>,
        buffer: &mut [u8],
    ) {
        either!(self, it => run(it, transport, clock, encoding, buffer).await);
    }

    pub(crate) fn emit<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        either!(self, it => it.emit(event, data, scratch))
    }

    pub(crate) fn emit_if_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        either!(self, it => it.emit_if_room(event, data, scratch))
    }

    pub(crate) async fn emit_when_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Result<Option<u64>, EmitError> {
        either!(self, it => it.emit_when_room(event, data, scratch).await)
    }

    #[cfg(feature = "outbox")]
    pub(crate) async fn emit_tried<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
        tried: Tried,
    ) -> Result<Option<u64>, EmitError> {
        either!(self, it => it.emit_tried(event, data, scratch, tried).await)
    }

    pub(crate) fn would_refuse<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &mut [u8],
    ) -> Option<Result<Option<u64>, EmitError>> {
        either!(self, it => it.would_refuse(event, data, scratch))
    }

    pub(crate) fn refuse(&self) -> Option<Result<Option<u64>, EmitError>> {
        either!(self, it => it.refuse())
    }

    pub(crate) async fn room(&self) {
        either!(self, it => it.room().await);
    }

    pub(crate) async fn drained(&self) {
        either!(self, it => it.drained().await);
    }

    pub(crate) async fn closed(&self) {
        either!(self, it => it.closed().await);
    }

    pub(crate) fn set_endpoint(&self, target: To) -> Result<(), EmitError> {
        either!(self, it => it.set_endpoint(target))
    }

    pub(crate) fn swap_to_gone(&self, target: To) -> Result<(), EmitError> {
        either!(self, it => it.swap_to_gone(target))
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn endpoint(&self) -> Option<(u32, To)> {
        either!(self, it => it.endpoint())
    }

    pub(crate) fn destination(&self) -> Option<To> {
        either!(self, it => it.destination())
    }
}

impl<To> Engine<To> {
    pub(crate) fn clear(&self, now: Instant) {
        either!(self, it => it.clear(now));
    }

    pub(crate) fn close(&self, now: Instant) {
        either!(self, it => it.close(now));
    }

    pub(crate) fn set_rate(&self, rate: Rate, now: Instant) {
        either!(self, it => it.set_rate(rate, now));
    }

    pub(crate) fn stats(&self) -> Stats {
        either!(self, it => it.stats())
    }

    pub(crate) fn backlog(&self) -> Backlog {
        either!(self, it => it.backlog())
    }

    pub(crate) const fn observer(&self) -> &LogObserver {
        either!(self, it => it.observer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::destination::Destination;

    /// A hub may have a thousand of them.
    #[test]
    fn it_is_small_unless_many_posts_are_in_flight() {
        assert!(size_of::<Of<Destination, FEW>>() <= 8 << 10);
    }
}
