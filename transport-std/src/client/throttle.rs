//! Rate limit for log lines: one a second of each kind, with a count of those suppressed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The least time between two lines of a kind. Arbitrary: enough to read one.
const QUIET: Duration = Duration::from_secs(1);

/// The rate limiter for one kind of log line.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written at `now`, and how many were suppressed since the last one. When
    /// another thread asks at the same moment, one of the two lines is suppressed.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.try_lock().ok()?;
        if state.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
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
    }
}
