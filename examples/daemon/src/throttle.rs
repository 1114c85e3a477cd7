//! One log line of a kind in a second, with how many were left out.

use std::time::{Duration, Instant};

/// Between two lines. Arbitrary: enough to read one.
const QUIET: Duration = Duration::from_secs(1);

/// Which lines of one kind are said.
#[derive(Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// Whether a line is said that comes `now`; then, how many were left out before it.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(self.left_out())
    }

    /// How many were left out since the last line. Counts from 0 again.
    pub(crate) fn left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_is_said_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut throttle = Throttle::default();
        let after = [0, 10, 999, 1_000, 1_001, 2_500];
        let said = after.map(|ms| throttle.pass(start + Duration::from_millis(ms)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
        assert_eq!(throttle.left_out(), 0);
    }
}
