//! In place of `rate` without the feature of that name: attempts begin as they come.

use core::time::Duration;

use crate::clock::Instant;

/// The most attempts in a time. Without the feature `rate` there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(());

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(());

    /// The time from the beginning of an attempt to that of the next, at least: zero.
    #[must_use]
    pub const fn distance(self) -> Duration {
        Duration::ZERO
    }
}

/// When the next attempt may begin: at any time.
#[derive(Clone, Copy)]
pub(crate) struct Pace;

impl Pace {
    pub(crate) const ANY: Self = Self;

    pub(crate) const fn after(_: Rate, _: Instant) -> Self {
        Self
    }

    pub(crate) const fn begin(self) -> Instant {
        Instant::from_micros(0)
    }
}
