//! What the node lends: to the dispatcher its queue, to the worker its buffers.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::MutexGuard;

/// The queue's bytes, locked for good by the dispatcher. Not an array inside of it: a dispatcher
/// has a config, so it is made at run time, and an array would go over the stack then.
pub(super) struct QueueBytes<const QUEUE: usize>(
    pub(super) MutexGuard<'static, CriticalSectionRawMutex, [u8; QUEUE]>,
);

impl<const QUEUE: usize> AsRef<[u8]> for QueueBytes<QUEUE> {
    fn as_ref(&self) -> &[u8] {
        &self.0[..]
    }
}

impl<const QUEUE: usize> AsMut<[u8]> for QueueBytes<QUEUE> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0[..]
    }
}

/// What `run` works with; it holds the lock while it runs. All zeros, as a static without a copy in
/// flash must be; so the few bytes of a transport that are not live in the future.
pub(super) struct Memory<T, const EVENT: usize, const IO: usize> {
    /// The event in flight, and its body.
    pub(super) event: [[u8; EVENT]; 2],
    pub(super) socket: [[u8; IO]; 2],
    pub(super) http: [u8; IO],
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "it is `()`"))]
    pub(super) tls: T,
}

impl<T, const EVENT: usize, const IO: usize> Memory<T, EVENT, IO> {
    pub(super) const fn new(tls: T) -> Self {
        const { assert!(IO >= 2, "a byte for each direction") };
        Self { event: [[0; EVENT]; 2], socket: [[0; IO]; 2], http: [0; IO], tls }
    }
}
