//! How long the core was busy, in its own cycles.
//!
//! Under QEMU's `-icount shift=0` an instruction takes a nanosecond, so this counts them: on
//! `an386` a cycle is 40.

use core::cell::Cell;

use embassy_sync::blocking_mutex::CriticalSectionMutex;

use crate::time;

/// Cycles that the core has slept.
static SLEPT: CriticalSectionMutex<Cell<u64>> = CriticalSectionMutex::new(Cell::new(0));

/// The longest time, in cycles, in which no task got its turn.
static LONGEST: CriticalSectionMutex<Cell<u64>> = CriticalSectionMutex::new(Cell::new(0));

/// Cycles that the core was not asleep.
pub fn busy() -> u64 {
    SLEPT.lock(|slept| time::cycles() - slept.get())
}

/// The longest that the tasks which were ready took to run once each, in cycles, since the last call.
pub fn longest_poll() -> u64 {
    LONGEST.lock(|longest| longest.take())
}

/// Runs the tasks that are ready, and notes how long it took.
pub(crate) fn poll(poll: impl FnOnce()) {
    let began = time::cycles();
    poll();
    let took = time::cycles() - began;
    LONGEST.lock(|longest| longest.set(longest.get().max(took)));
}

/// Sleeps, and notes for how long. With interrupts held back.
pub(crate) fn sleep(sleep: impl FnOnce()) {
    let began = time::cycles();
    sleep();
    let slept = time::cycles() - began;
    SLEPT.lock(|total| total.set(total.get() + slept));
}
