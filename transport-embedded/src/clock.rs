//! Time on a microcontroller: monotonic from embassy-time, wall time once it has been set.

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, Timer};
use pilot_webhook_core::{Clock, Instant, Timestamp};

const MICROS: u64 = 1_000_000;

/// The wall-clock time as a TLS handshake needs it.
///
/// Implemented by [`WallTime`], by [`EmbassyClock`] and by closures.
pub trait WallClock {
    /// Seconds since 1970 in UTC, or `None` when the time is not known.
    fn unix_seconds(&self) -> Option<u64>;
}

impl<F: Fn() -> Option<u64>> WallClock for F {
    fn unix_seconds(&self) -> Option<u64> {
        self()
    }
}

/// The node's wall time: how far its boot is from the Unix epoch, once known.
///
/// Put it in a `static`. The source of the time (an RTC, the modem, `Sntp` of the feature `sntp`) calls
/// [`set`](Self::set), from any task or interrupt.
///
/// Before that, [`EmbassyClock::wall`](Clock::wall) counts from the epoch as if the node had booted
/// at 1970-01-01T00:00:00Z. An event stamped in 1970 therefore carries its uptime, and the receiver
/// can place it as soon as one stamped event of the same boot arrives. No event is held back or
/// rewritten: its stamp is that of the emit.
///
/// ```
/// use pilot_webhook_embassy::{WallClock, WallTime};
/// static WALL: WallTime = WallTime::new();
/// assert_eq!(WALL.unix_seconds(), None);
/// WALL.set(pilot_webhook_core::Timestamp::new(1_795_000_000, 0));
/// assert!(WALL.unix_seconds() >= Some(1_795_000_000));
/// ```
pub struct WallTime {
    /// The Unix time of embassy-time's instant zero, in microseconds, modulo 2⁶⁴.
    boot: Mutex<CriticalSectionRawMutex, Cell<Option<u64>>>,
}

impl WallTime {
    /// Not known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { boot: Mutex::new(Cell::new(None)) }
    }

    /// Sets the time to `now`, or to 1970-01-01 if that is later.
    pub fn set(&self, now: Timestamp) {
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let unix = seconds * MICROS + u64::from(now.nanos() / 1_000);
        // The boot may have been before the epoch.
        self.boot.lock(|boot| boot.set(Some(unix.wrapping_sub(uptime()))));
    }

    /// The time now, or `None` before the first [`set`](Self::set).
    #[must_use]
    pub fn get(&self) -> Option<Timestamp> {
        self.boot.lock(Cell::get).map(|boot| timestamp(boot.wrapping_add(uptime())))
    }
}

impl Default for WallTime {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallTime").field(&self.get()).finish()
    }
}

impl WallClock for WallTime {
    fn unix_seconds(&self) -> Option<u64> {
        self.get().and_then(|now| u64::try_from(now.seconds()).ok())
    }
}

impl WallClock for &WallTime {
    fn unix_seconds(&self) -> Option<u64> {
        WallTime::unix_seconds(self)
    }
}

/// The engine's [`Clock`] over embassy-time.
#[derive(Clone, Copy, Debug)]
pub struct EmbassyClock<'a> {
    wall: &'a WallTime,
}

impl<'a> EmbassyClock<'a> {
    /// A clock whose wall time is that of `wall`.
    #[must_use]
    pub const fn new(wall: &'a WallTime) -> Self {
        Self { wall }
    }
}

impl Clock for EmbassyClock<'_> {
    fn now(&self) -> Instant {
        monotonic()
    }

    fn wall(&self) -> Timestamp {
        self.wall.get().unwrap_or_else(|| timestamp(uptime()))
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        Sleep { deadline, is_over: false }
    }
}

/// Waits until the deadline is reached.
struct Sleep {
    deadline: Instant,
    is_over: bool,
}

impl Future for Sleep {
    type Output = ();

    /// Not inlined, as the engine waits for a time in several places.
    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over {
            return Poll::Ready(());
        }
        let left = self.deadline.as_micros().saturating_sub(uptime());
        if left == 0 {
            // The executor may have been blocked, and the network's task may not have run since: an
            // answer that has arrived must be read before the attempt is timed out.
            self.is_over = true;
            cx.waker().wake_by_ref();
        } else {
            // The conversion to ticks rounds towards the past, and a timer may fire on its tick: each
            // wake-up looks again. In pieces of an hour, because "never" in microseconds is more than
            // a tick counter can hold. A new timer is never ready at once.
            let mut timer = Timer::after(Duration::from_micros(left.min(3_600_000_000)));
            let _ = Pin::new(&mut timer).poll(cx);
        }
        Poll::Pending
    }
}

impl WallClock for EmbassyClock<'_> {
    fn unix_seconds(&self) -> Option<u64> {
        self.wall.unix_seconds()
    }
}

/// The engine's monotonic time.
pub(crate) fn monotonic() -> Instant {
    Instant::from_micros(uptime())
}

/// Microseconds since embassy-time's instant zero.
fn uptime() -> u64 {
    embassy_time::Instant::now().as_micros()
}

/// The timestamp of a Unix time in microseconds.
#[allow(clippy::cast_possible_truncation, reason = "the nanoseconds of a second fit")]
pub(crate) fn timestamp(micros: u64) -> Timestamp {
    let seconds = i64::try_from(micros / MICROS).unwrap_or(i64::MAX);
    Timestamp::new(seconds, (micros % MICROS) as u32 * 1_000)
}
