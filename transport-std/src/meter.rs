//! What is known about the bytes on a connection, from outside of hyper that owns it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Counts for one exchange, shared by a connection and the stream under it.
///
/// Both ends are polled by the same task, one after the other; the atomics only make it `Sync`.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    allowance: AtomicUsize,
    wrote: AtomicBool,
    read: AtomicBool,
    overrun: AtomicBool,
    probe: AtomicBool,
}

impl Meter {
    /// A request begins, for whose header section (with all interim ones) `allowance` bytes may be
    /// read. On a `reused` connection, the stream is to look for the end of it first.
    pub(crate) fn begin(&self, allowance: usize, reused: bool) {
        self.allow(allowance);
        self.wrote.store(false, Relaxed);
        self.read.store(false, Relaxed);
        self.probe.store(reused, Relaxed);
    }

    /// From here on, `allowance` bytes may be read.
    pub(crate) fn allow(&self, allowance: usize) {
        self.allowance.store(allowance, Relaxed);
        self.overrun.store(false, Relaxed);
    }

    /// Whether a byte of the request was handed to the stream. If not, nobody can have seen it.
    pub(crate) fn wrote(&self) -> bool {
        self.wrote.load(Relaxed)
    }

    /// Whether a byte was read since the request began.
    pub(crate) fn read(&self) -> bool {
        self.read.load(Relaxed)
    }

    /// Whether the peer sent more than was allowed.
    pub(crate) fn overrun(&self) -> bool {
        self.overrun.load(Relaxed)
    }

    /// Asked before reading: whether more may be read.
    pub(crate) fn may_read(&self) -> bool {
        let may = self.allowance.load(Relaxed) > 0;
        if !may {
            self.overrun.store(true, Relaxed);
        }
        may
    }

    /// Notes `bytes` read. A read that overshoots the allowance by a buffer is let through.
    pub(crate) fn note_read(&self, bytes: usize) {
        if bytes > 0 {
            self.read.store(true, Relaxed);
        }
        self.allowance.store(self.allowance.load(Relaxed).saturating_sub(bytes), Relaxed);
    }

    /// Notes `bytes` written.
    pub(crate) fn note_written(&self, bytes: usize) {
        if bytes > 0 {
            self.wrote.store(true, Relaxed);
        }
    }

    /// Whether the stream is to look for the end of the connection; true once per request.
    pub(crate) fn take_probe(&self) -> bool {
        self.probe.swap(false, Relaxed)
    }
}
