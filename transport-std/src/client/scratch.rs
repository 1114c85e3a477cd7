//! The buffer an event is encoded in. Each thread keeps one, so that `emit` does not allocate.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer of `length` bytes, zeroed or used before. The thread that drops it keeps it.
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    pub(crate) fn take(length: usize) -> Self {
        // While this one is out (a `Serialize` that emits, a thread that ends), another is made.
        let mut buffer = KEPT.try_with(Cell::take).unwrap_or_default();
        if buffer.len() != length {
            // Zeroed by the allocator: the memory is touched only as far as events are long.
            buffer = vec![0; length];
        }
        Self(buffer)
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(buffer));
    }
}
