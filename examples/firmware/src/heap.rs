//! The heap, for rustls: a fixed part of RAM, and how much of it was ever used.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::mem::MaybeUninit;

use embassy_sync::blocking_mutex::CriticalSectionMutex;
use embedded_alloc::LlffHeap;

/// Bytes of the heap: three times the receive buffer of 16,640 bytes, and 10 KiB, as the transport's README asks for,
/// and what the allocator itself takes.
pub const SIZE: usize = 60 * 1024;

struct Heap {
    memory: LlffHeap,
    peak: CriticalSectionMutex<Cell<usize>>,
}

#[global_allocator]
static HEAP: Heap =
    Heap { memory: LlffHeap::empty(), peak: CriticalSectionMutex::new(Cell::new(0)) };

/// Makes the heap usable. To be called once, before the first allocation.
pub fn start() {
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: the memory is named here only, and this is called once.
    unsafe { HEAP.memory.init((&raw mut MEMORY).addr(), SIZE) }
}

/// The most bytes that were ever in use.
pub fn peak() -> usize {
    HEAP.peak.lock(Cell::get)
}

// SAFETY: all is done by the allocator within.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        let place = unsafe { self.memory.alloc(layout) };
        let used = self.memory.used();
        self.peak.lock(|peak| peak.set(peak.get().max(used)));
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the same.
        unsafe { self.memory.dealloc(place, layout) }
    }
}
