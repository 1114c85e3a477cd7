//! Timers that give an alarm: an interrupt after a number of core cycles.

#[cfg(feature = "board-an386")]
pub(crate) mod cmsdk;
#[cfg(feature = "board-lm3s6965")]
pub(crate) mod gptm;
