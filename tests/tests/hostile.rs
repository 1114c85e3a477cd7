//! Hostile receivers, met by both transports. Counts allocations, so it is alone in its process.

#![allow(clippy::unwrap_used, reason = "a failed test should say where and why at once")]

#[path = "it/transports/mod.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod transports;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pilot_webhook_tests::hostile::meet_all;
use pilot_webhook_tests::nal::{Counts, TokioNet};
use pilot_webhook_tests::{Abilities, Memory};

thread_local! {
    /// What this thread has allocated and not given back, and the most of it so far.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static BASE: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: isize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator as it is.
#[allow(unsafe_code, reason = "an allocator is unsafe to implement; see SAFETY")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEMORY: Memory = Memory {
    begin: || {
        BASE.set(LIVE.get());
        PEAK.set(LIVE.get());
    },
    peak: || (PEAK.get() - BASE.get()).try_into().unwrap(),
};

#[test]
fn std_meets_all() {
    meet_all(Abilities::ALL, MEMORY, transports::std);
}

/// What it reads is known to the byte: the bound of a handshake and that of an answer, and the next
/// post's.
#[test]
fn embassy_meets_all() {
    const READ_MAX: usize = 2 * 64 * 1024 + 8 * 1024;
    let counts = Arc::<Counts>::default();
    let most = Cell::new(0);
    let read = || most.set(most.get().max(counts.read.swap(0, Relaxed)));
    meet_all(transports::NODE, MEMORY, |setup| {
        read();
        let mut net = TokioNet::knowing(setup.names);
        net.counts = Arc::clone(&counts);
        transports::node_over(net, setup)
    });
    read();
    println!("read {} bytes at most", most.get());
    assert!(most.get() <= READ_MAX, "{} bytes were read", most.get());
}
