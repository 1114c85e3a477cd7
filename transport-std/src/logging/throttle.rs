//! Rate limit for log lines: one a second of each kind, with a count of those suppressed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines of a kind. Arbitrary: enough to read one.
const QUIET: Duration = Duration::from_secs(1);

/// The rate limiter for one kind of log line: one is written in a second.
///
/// The client's own log lines are limited in this way. A host that logs what its hook for notices is told, or
/// what others send it, does well to do the same.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pilot_webhook_std::Throttle;
/// let (throttle, now) = (Throttle::default(), Instant::now());
/// assert_eq!(throttle.admit(now), Some(0));
/// assert_eq!(throttle.admit(now), None);
/// assert_eq!(throttle.admit(now + Duration::from_secs(1)), Some(1));
/// ```
#[derive(Debug, Default)]
pub struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written at `now`, and how many were suppressed since the last one. Never waits: when
    /// another thread asks at the same moment, one of the two lines is suppressed and not counted.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.try_lock().ok()?;
        if state.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }

    /// How many were suppressed since the last line, for a line at the end. Counts from 0 again.
    pub fn left_out(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_lines_in_three_seconds_are_three() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let lines: Vec<u64> = (0..10_000_u32)
            .filter_map(|n| throttle.admit(start + Duration::from_micros(300) * n))
            .collect();
        assert_eq!(lines, [0, 3_333, 3_333]);
        assert_eq!((throttle.left_out(), throttle.left_out()), (3_331, 0));
    }
}
