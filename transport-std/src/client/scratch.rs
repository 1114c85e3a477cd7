//! The buffer an event is encoded in. Each thread keeps one, the longest that it needed, so that `emit` does not allocate.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer of `length` bytes, zeroed or used before. The thread that drops it keeps it.
pub(crate) struct Scratch {
    kept: Vec<u8>,
    length: usize,
}

/// Length of the buffer that an event is encoded in whose topic and data may be so long, with room for a `null` that is
/// removed again.
pub(crate) const fn scratch_bytes(max_event_bytes: usize) -> usize {
    max_event_bytes.saturating_add(4)
}

impl Scratch {
    pub(crate) fn take(length: usize) -> Self {
        // While this one is out (a `Serialize` that emits, a thread that ends), another is made.
        let mut buffer = KEPT.try_with(Cell::take).unwrap_or_default();
        if buffer.len() < length {
            // Zeroed by the allocator: the memory is touched only as far as events are long.
            buffer = vec![0; length];
        }
        Self { kept: buffer, length }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.kept[..self.length]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.kept);
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(buffer));
    }
}
