//! How long the core was busy, in its own cycles.
//!
//! Under QEMU's `-icount shift=0` an instruction takes a nanosecond, so this counts them: on
//! `an386` a cycle is 40.

use core::cell::Cell;

use embassy_sync::blocking_mutex::CriticalSectionMutex;

use crate::time;

/// Cycles that the core has slept.
static SLEPT: CriticalSectionMutex<Cell<u64>> = CriticalSectionMutex::new(Cell::new(0));

/// Cycles that the core was not asleep.
pub fn busy() -> u64 {
    SLEPT.lock(|slept| time::cycles() - slept.get())
}

/// Sleeps, and notes for how long. With interrupts held back.
pub(crate) fn sleep(sleep: impl FnOnce()) {
    let began = time::cycles();
    sleep();
    let slept = time::cycles() - began;
    SLEPT.lock(|total| total.set(total.get() + slept));
}
