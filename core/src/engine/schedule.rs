//! The waits between attempts as a list, in place of a backoff.

use core::time::Duration;

use crate::clock::micros;

/// The most waits.
const MOST: usize = 16;

/// The waits between the attempts of an event, one after the other: with `n` of them it gets `n + 1` attempts.
///
/// ```
/// use core::time::Duration;
/// use pilot_webhook_core::Schedule;
/// let waits = [5, 300, 1_800].map(Duration::from_secs);
/// let schedule = Schedule::new(&waits).unwrap();
/// assert_eq!(schedule.attempts(), 4);
/// assert_eq!(schedule.wait(2), Some(Duration::from_secs(300)));
/// assert_eq!(schedule.wait(4), None);
/// assert_eq!(Schedule::new(&[]), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// In milliseconds.
    waits: [u32; MOST],
    length: u8,
}

impl Schedule {
    /// Of 1 to 16 waits, in whole milliseconds (what is more is cut) of up to 49 days each; `None` for other
    /// lists.
    #[must_use]
    pub fn new(waits: &[Duration]) -> Option<Self> {
        let mut schedule = Self { waits: [0; MOST], length: u8::try_from(waits.len()).ok()? };
        if waits.is_empty() || waits.len() > MOST {
            return None;
        }
        for (place, wait) in schedule.waits.iter_mut().zip(waits) {
            *place = u32::try_from(micros(*wait) / 1_000).ok()?;
        }
        Some(schedule)
    }

    /// How many attempts an event gets.
    #[must_use]
    pub const fn attempts(&self) -> u8 {
        self.length.saturating_add(1)
    }

    /// The wait after so many failed attempts, from 1; `None` when no attempt follows.
    #[must_use]
    pub fn wait(&self, attempts: u8) -> Option<Duration> {
        if attempts > self.length {
            return None;
        }
        let wait = self.waits.get(usize::from(attempts).checked_sub(1)?)?;
        Some(Duration::from_millis((*wait).into()))
    }
}
