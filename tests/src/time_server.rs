//! SNTP, from the server's side (RFC 5905, section 7.3).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The length of a question and of an answer.
pub const LENGTH: usize = 48;
/// From 1900, where SNTP's time begins, to 1970.
const EPOCH: u64 = 2_208_988_800;

/// A time as SNTP writes it: seconds modulo 2³², and as many fractions of one.
#[must_use]
pub const fn stamp(unix: Duration) -> [u8; 8] {
    let fraction = ((unix.subsec_nanos() as u64) << 32) / 1_000_000_000;
    (((unix.as_secs() + EPOCH) << 32) | fraction).to_be_bytes()
}

/// What a good server answers at this time since 1970.
///
/// # Panics
/// When the question is none.
#[must_use]
pub fn reply(question: &[u8], unix: Duration) -> [u8; LENGTH] {
    assert_eq!(question.len(), LENGTH);
    assert_eq!(question[0], 0b00_100_011, "version 4, from a client");
    let mut reply = [0; LENGTH];
    // No leap second is near; version 4, from a server; stratum 2; 16 s; a microsecond.
    reply[..4].copy_from_slice(&[0b00_100_100, 2, 4, 0xec]);
    // The delay to the root and the dispersion, in 65,536ths of a second.
    reply[4..12].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);
    reply[12..16].copy_from_slice(&[192, 0, 2, 1]);
    reply[16..24].copy_from_slice(&stamp(unix.saturating_sub(Duration::from_secs(10))));
    reply[24..32].copy_from_slice(&question[40..48]);
    reply[32..40].copy_from_slice(&stamp(unix));
    reply[40..48].copy_from_slice(&stamp(unix));
    reply
}

/// A server on loopback, with this host's time. It does not answer until it is enabled.
pub struct TimeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    speaks: AtomicBool,
    ends: AtomicBool,
    asked: AtomicUsize,
}

impl TimeServer {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no loopback.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared {
            speaks: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
        });
        let served = shared.clone();
        let thread = thread::spawn(move || served.serve(&socket));
        Self { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it answers.
    pub fn speak(&self) {
        self.shared.speaks.store(true, Ordering::Relaxed);
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket) {
        let mut question = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.speaks.load(Ordering::Relaxed) {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                let _ = socket.send_to(&reply(&question[..length], now), client);
            }
        }
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // A datagram to look up from.
        let woken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|socket| socket.send_to(&[], self.address));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
