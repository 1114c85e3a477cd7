//! How much of the heap rustls takes, at most, whatever a server sends. Alone in its process, because it
//! counts all that its thread allocates.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

#[path = "it/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::hostile_tls::{Behaviour, HostileServer, Identity};
use support::pki::{Kind, leaf};
use support::{authority, post, ticket};

thread_local! {
    static USED: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(change: isize) {
    let _ = USED.try_with(|used| {
        used.set(used.get() + change);
        PEAK.with(|peak| peak.set(peak.get().max(used.get())));
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

const RX: usize = 16_640;
/// What the documentation says.
const BOUND: usize = 3 * RX + 10 * 1_024;

/// The most bytes in use during posts to such a server over new connections, above those in use before.
fn peak(identity: &Identity, behaviour: Behaviour) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = HostileServer::start(identity.clone(), behaviour);
    let url = support::by_name(server.address().port());
    let mut node = support::tls_with::<RX, 1_024>();
    let before = USED.get();
    PEAK.set(before);
    for _ in 0..4 {
        let _ = runtime.block_on(post(&mut node, &url));
        let _ = runtime.block_on(post(&mut node, &url));
        node.disconnect();
    }
    (PEAK.get() - before).try_into().unwrap()
}

/// A certificate about as long as this.
fn certificate_of(length: usize) -> Identity {
    let mut params = leaf();
    let names =
        (0..length / 50).map(|n| format!("a-name-that-is-about-fifty-bytes-long-{n:04}.test"));
    let names = names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap()));
    params.subject_alt_names.extend(names);
    authority().issue(Kind::P256, params)
}

#[test]
fn the_heap_is_bounded_by_the_receive_buffer() {
    let (good, long) = (authority().server(), certificate_of(14_500));
    let answer = [&b"HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n"[..], &[b'x'; 8_000]].concat();
    // 64-bit pointers and tokio's sockets are in it; a node has half of that. A list of RSA signatures is longer.
    let usual = peak(&good, Behaviour::good());
    assert!(usual <= if cfg!(feature = "rsa") { 20 } else { 14 } * 1_024, "{usual}");
    for (what, identity, behaviour) in [
        ("a long chain", &long, Behaviour::good()),
        ("a long answer", &good, Behaviour { answer: answer.clone(), ..Behaviour::good() }),
        ("tickets", &good, Behaviour { after: vec![ticket(300); 3], ..Behaviour::good() }),
        (
            "tickets and a long chain",
            &long,
            Behaviour { after: vec![ticket(300); 3], ..Behaviour::good() },
        ),
        ("long tickets", &good, Behaviour { after: vec![ticket(15_000); 3], ..Behaviour::good() }),
        (
            "all of it",
            &long,
            Behaviour { after: vec![ticket(15_000); 3], answer, ..Behaviour::good() },
        ),
    ] {
        let peak = peak(identity, behaviour);
        assert!(peak <= BOUND, "{what}: {peak}");
    }
}
