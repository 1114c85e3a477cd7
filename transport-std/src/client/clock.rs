//! Time from tokio and the operating system.

use std::future::pending;
use std::time::Duration;
#[cfg(any(test, not(unix)))]
use std::time::SystemTime;

use pilot_webhook_core::{Clock, Instant, Timestamp};

/// A timer that fires this late was delayed: the process was stopped, or its runtime blocked. Twice
/// tokio's resolution.
const LATE: Duration = Duration::from_millis(2);

/// Tokio's monotonic clock and timers, and the system's wall clock.
///
/// The monotonic time follows a paused tokio runtime, so tests may stop and advance it; the wall
/// time does not.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl TokioClock {
    /// A clock whose monotonic time begins now. Copies of it agree with each other.
    #[must_use]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> Timestamp {
        wall()
    }

    async fn sleep_until(&self, deadline: Instant) {
        match self.start.checked_add(Duration::from_micros(deadline.as_micros())) {
            Some(deadline) => {
                tokio::time::sleep_until(deadline).await;
                if deadline.elapsed() >= LATE {
                    // The process was stopped, or its runtime blocked. Timers may fire before tokio has polled
                    // its sockets, and an answer that has arrived must be read before the attempt is timed
                    // out. A timer that is set now fires after that poll.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            // `core` uses the end of time for "never".
            None => pending().await,
        }
    }
}

/// The system's wall clock. It is read for each event, and `SystemTime` tells only its distance from another time, which
/// takes as long as reading it.
#[cfg(unix)]
fn wall() -> Timestamp {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    // Before 1970 the seconds are negative, and the nanoseconds go up from them, as a time stamp's do.
    Timestamp::new(now.tv_sec, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(not(unix))]
fn wall() -> Timestamp {
    wall_time(SystemTime::now())
}

#[cfg(any(test, not(unix)))]
fn wall_time(now: SystemTime) -> Timestamp {
    let (past, distance) = match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (false, after),
        // A clock that was never set may stand before 1970.
        Err(error) => (true, error.duration()),
    };
    let seconds = i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
    match (past, distance.subsec_nanos()) {
        (false, nanos) => Timestamp::new(seconds, nanos),
        (true, 0) => Timestamp::new(-seconds, 0),
        (true, nanos) => Timestamp::new(-seconds - 1, 1_000_000_000 - nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn monotonic_time_follows_tokios() {
        let clock = TokioClock::new();
        assert_eq!(clock.now(), Instant::from_micros(0));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now(), Instant::from_micros(1_500_000));
        let deadline = clock.now() + Duration::from_secs(3_600);
        clock.sleep_until(deadline).await;
        // Tokio's timers have a resolution of one millisecond.
        assert!(clock.now().saturating_since(deadline) <= Duration::from_millis(1));
        assert!(clock.now() >= deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_the_past_is_over_at_once_and_the_end_of_time_never() {
        let clock = TokioClock::new();
        tokio::time::advance(Duration::from_secs(1)).await;
        clock.sleep_until(Instant::from_micros(5)).await;
        let never = clock.sleep_until(Instant::from_micros(u64::MAX));
        assert!(tokio::time::timeout(Duration::from_secs(86_400), never).await.is_err());
    }

    #[test]
    fn the_wall_clock_is_the_systems() {
        let before = wall_time(SystemTime::now());
        let now = TokioClock::new().wall();
        let after = wall_time(SystemTime::now());
        assert!(before <= now && now <= after, "{before} {now} {after}");
    }

    #[test]
    fn wall_time_is_exact_on_both_sides_of_the_epoch() {
        let epoch = SystemTime::UNIX_EPOCH;
        let at = |time| wall_time(time).to_string();
        assert_eq!(at(epoch + Duration::from_nanos(1_500_000_000)), "1970-01-01T00:00:01.5Z");
        assert_eq!(at(epoch - Duration::from_nanos(250_000_000)), "1969-12-31T23:59:59.75Z");
        assert_eq!(at(epoch - Duration::from_secs(1)), "1969-12-31T23:59:59Z");
    }
}
