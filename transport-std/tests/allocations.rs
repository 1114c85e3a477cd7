//! Emitting an event allocates nothing. Alone in its process, because it counts allocations.
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pilot_webhook_core::EmitError;
use pilot_webhook_std::Client;
use serde::Serialize;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
#[allow(unsafe_code, reason = "an allocator is unsafe to implement; see SAFETY")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations this thread makes in `f`.
fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[derive(Serialize)]
struct Established {
    conn_id: u32,
    dst_port: u16,
    src_addr: &'static str,
}

const DATA: Established = Established { conn_id: 2, dst_port: 444, src_addr: "0:0000.0000.0002" };

#[tokio::test]
async fn emit_allocates_nothing_whatever_becomes_of_the_event() {
    // Nobody answers there, and on this thread nobody asks before an await.
    let client = Client::builder("http://127.0.0.1:9/").queue_capacity(100).build().unwrap();
    // The thread's scratch buffer is made once.
    let first = allocations(|| assert_eq!(client.emit("conn.established", &DATA), Ok(Some(1))));
    assert_eq!(first, 1, "the scratch buffer, for good");
    let queued = allocations(|| {
        for _ in 0..99 {
            client.emit("conn.established", &DATA).unwrap();
        }
    });
    assert_eq!(queued, 0, "taken in");
    // The first drop in a second is a log line, which nobody listens to here.
    let dropped = allocations(|| {
        for _ in 0..100 {
            assert_eq!(client.emit("conn.established", &DATA), Err(EmitError::Full));
        }
    });
    assert_eq!(dropped, 0, "dropped");
    client.set_url("").unwrap();
    let disabled = allocations(|| assert_eq!(client.emit("t", &DATA), Ok(None)));
    assert_eq!(disabled, 0, "disabled");
}
