//! How much of the stack was ever used.
//!
//! cortex-m-rt (`paint-stack`) fills the stack with a pattern before `main`; what no
//! longer has it was used. A frame that skips over words leaves them painted, so the
//! result may be a little low, never high.

use core::ptr;

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    /// The lowest word that the stack may grow to; from cortex-m-rt's `link.x`.
    static _stack_end: u32;
    /// One past the highest word of the stack; from cortex-m-rt's `link.x`.
    static _stack_start: u32;
}

/// Bytes that the stack may take: all RAM that statics do not.
#[must_use]
pub fn size() -> usize {
    (&raw const _stack_start).addr() - (&raw const _stack_end).addr()
}

/// Bytes that the stack took at its peak. Equal to [`size`]: it overflowed, or nearly.
#[must_use]
pub fn peak() -> usize {
    let words = size() / size_of::<u32>();
    let lowest = &raw const _stack_end;
    let untouched = (0..words)
        .take_while(|&word| {
            // SAFETY: the linker's symbols bound RAM; `word` counts within the bounds. The
            // reads end at the first used word, so none races with a live frame, and
            // volatile ones may look at memory that Rust knows nothing of.
            let value = unsafe { ptr::read_volatile(lowest.add(word)) };
            value == STACK_PAINT_VALUE
        })
        .count();
    (words - untouched) * size_of::<u32>()
}
