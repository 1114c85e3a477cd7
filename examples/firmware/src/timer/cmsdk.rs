//! The timer of Arm's Cortex-M System Design Kit.
//!
//! Register names, offsets and bits: "Cortex-M System Design Kit" technical reference
//! manual (Arm DDI 0479), section 4.4 ("APB timer").

use crate::mmio::Registers;

mod reg {
    pub(crate) const CTRL: usize = 0x00;
    /// Writing it sets the counter too.
    pub(crate) const RELOAD: usize = 0x08;
    /// Writing a one clears the interrupt.
    pub(crate) const INTCLEAR: usize = 0x0c;
    /// The size of the block.
    pub(crate) const BLOCK: usize = 0x1000;
}

const CTRL_INTERRUPT: u32 = 1 << 3;
const CTRL_ENABLE: u32 = 1 << 0;
const INTERRUPT: u32 = 1 << 0;

/// A timer as an alarm. It counts the core's cycles on the boards that have it.
pub(crate) struct Alarm(Registers);

impl Alarm {
    /// The timer at address `base`, stopped.
    ///
    /// # Safety
    ///
    /// There is a timer at `base` for as long as the program runs, and no other user.
    pub(crate) const unsafe fn new(base: usize) -> Self {
        // SAFETY: the caller promises the timer, whose registers fill the block.
        Self(unsafe { Registers::new(base, reg::BLOCK) })
    }

    /// Interrupts after `cycles`, at least one, instead of at any earlier setting.
    pub(crate) fn set(&mut self, cycles: u32) {
        self.stop();
        self.0.write(reg::RELOAD, cycles);
        self.0.write(reg::CTRL, CTRL_INTERRUPT | CTRL_ENABLE);
    }

    /// Takes back the setting, and an interrupt that is due to it.
    pub(crate) fn stop(&mut self) {
        self.0.write(reg::CTRL, 0);
        self.0.write(reg::INTCLEAR, INTERRUPT);
    }
}
