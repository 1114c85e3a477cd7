//! In place of `schedule` without the feature of that name: there is no list of waits, and no code that asks for one.

use core::time::Duration;

/// The waits between the attempts of an event. They are made with the feature `schedule`; without it there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {}

impl Schedule {
    /// How many attempts an event gets.
    #[must_use]
    pub const fn attempts(&self) -> u8 {
        match *self {}
    }

    /// The wait after so many failed attempts, from 1; `None` when no attempt follows.
    #[must_use]
    pub const fn wait(&self, _: u8) -> Option<Duration> {
        match *self {}
    }
}
