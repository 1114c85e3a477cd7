//! The memory of a node's webhook, lent by the program for good.

use core::mem::MaybeUninit;

use super::{Shared, Webhook};
#[cfg(feature = "_https")]
use crate::tls::TlsBuffers;

/// All memory of a webhook: its queue, and the buffers of its one connection.
///
/// `QUEUE` bytes hold the events that wait: 32 for each, its topic and its data. `T` is `()` or, for
/// `https`, [`TlsBuffers`]. `EVENT` bounds an event's payload: there are twice as many bytes, for the
/// event as it was queued and its body, and for a batch as many as fit in that. `IO` is the length of
/// each of three buffers: the socket's two, and the one that HTTP is written and read in.
///
/// It is all zeros, so that a `static` of it takes RAM but no flash.
pub struct Resources<
    const QUEUE: usize,
    T: TlsResources = (),
    const EVENT: usize = 512,
    const IO: usize = 1_024,
> {
    shared: MaybeUninit<Shared>,
    runner: MaybeUninit<Parts<T::Lent>>,
    queue: [u8; QUEUE],
    event: [[u8; EVENT]; 2],
    socket: [[u8; IO]; 2],
    http: [u8; IO],
    tls: T,
}

impl<const QUEUE: usize, const EVENT: usize, const IO: usize> Resources<QUEUE, (), EVENT, IO> {
    /// Memory for `http`.
    #[must_use]
    pub const fn new() -> Self {
        Self::with(())
    }
}

impl<const QUEUE: usize, const EVENT: usize, const IO: usize> Default
    for Resources<QUEUE, (), EVENT, IO>
{
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "_https")]
impl<const QUEUE: usize, const RX: usize, const TX: usize, const EVENT: usize, const IO: usize>
    Resources<QUEUE, TlsBuffers<RX, TX>, EVENT, IO>
{
    /// Memory for `https` and `http`.
    #[must_use]
    pub const fn with_tls() -> Self {
        Self::with(TlsBuffers::new())
    }
}

impl<const QUEUE: usize, T: TlsResources, const EVENT: usize, const IO: usize>
    Resources<QUEUE, T, EVENT, IO>
{
    const fn with(tls: T) -> Self {
        const { assert!(IO >= 2, "a byte for each direction") };
        Self {
            shared: MaybeUninit::uninit(),
            runner: MaybeUninit::uninit(),
            queue: [0; QUEUE],
            event: [[0; EVENT]; 2],
            socket: [[0; IO]; 2],
            http: [0; IO],
            tls,
        }
    }

    /// The parts, without the lengths in their type.
    pub(super) fn lend(&'static mut self) -> Lent<T> {
        let Self { shared, runner, queue, event, socket: [rx, tx], http, tls } = self;
        let buffers = NodeBuffers { event: event.as_flattened_mut(), rx, tx, http };
        Lent { shared, runner, queue, buffers, tls: tls.lend() }
    }
}

/// What a webhook has for TLS: `()`, which is nothing, or [`TlsBuffers`].
///
/// It cannot be implemented outside this crate.
pub trait TlsResources: sealed::Sealed + 'static {
    /// The parts, without the lengths in their types.
    type Lent;

    #[doc(hidden)]
    fn lend(&'static mut self) -> Self::Lent;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for () {}

impl TlsResources for () {
    type Lent = ();

    fn lend(&'static mut self) {}
}

#[cfg(feature = "_https")]
impl<const RX: usize, const TX: usize> sealed::Sealed for TlsBuffers<RX, TX> {}

#[cfg(feature = "_https")]
impl<const RX: usize, const TX: usize> TlsResources for TlsBuffers<RX, TX> {
    type Lent = TlsMemory;

    fn lend(&'static mut self) -> TlsMemory {
        let (rx, tx) = self.split();
        TlsMemory { rx, tx }
    }
}

/// The record buffers of a runner for `https`.
#[cfg(feature = "_https")]
pub struct TlsMemory {
    pub(super) rx: &'static mut [u8],
    pub(super) tx: &'static mut [u8],
}

/// [`Resources`], taken apart.
pub(super) struct Lent<T: TlsResources> {
    pub(super) shared: &'static mut MaybeUninit<Shared>,
    pub(super) runner: &'static mut MaybeUninit<Parts<T::Lent>>,
    pub(super) queue: &'static mut [u8],
    pub(super) buffers: NodeBuffers,
    pub(super) tls: T::Lent,
}

/// The buffers of the one worker.
pub(super) struct NodeBuffers {
    /// For the event in flight, and its body.
    pub(super) event: &'static mut [u8],
    pub(super) rx: &'static mut [u8],
    pub(super) tx: &'static mut [u8],
    pub(super) http: &'static mut [u8],
}

/// What a runner is made of.
pub(super) struct Parts<T> {
    pub(super) webhook: Webhook,
    pub(super) buffers: NodeBuffers,
    pub(super) tls: T,
}
