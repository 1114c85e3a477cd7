//! A general-purpose timer module of the TI (Luminary) Stellaris family.
//!
//! Register names, offsets and bits: LM3S6965 data sheet, chapter 10 ("General-Purpose
//! Timers").

use crate::mmio::Registers;

mod reg {
    pub(crate) const CFG: usize = 0x00;
    /// Mode of timer A.
    pub(crate) const TAMR: usize = 0x04;
    pub(crate) const CTL: usize = 0x0c;
    /// Interrupt mask.
    pub(crate) const IMR: usize = 0x18;
    /// Interrupt clear.
    pub(crate) const ICR: usize = 0x24;
    /// Interval of timer A.
    pub(crate) const TAILR: usize = 0x28;
    /// The size of the block.
    pub(crate) const BLOCK: usize = 0x1000;
}

/// CFG: A and B are one timer of 32 bits.
const CFG_32_BITS: u32 = 0;
/// TAMR.
const MODE_ONE_SHOT: u32 = 1;
/// CTL: timer A counts.
const ENABLE: u32 = 1 << 0;
/// IMR and ICR: timer A ended.
const TIME_OUT: u32 = 1 << 0;

/// A module as an alarm; it counts the core's cycles.
pub(crate) struct Alarm(Registers);

impl Alarm {
    /// The module at address `base`, which must be clocked before it is [`set`](Self::set).
    ///
    /// # Safety
    ///
    /// There is a module at `base` for as long as the program runs, and no other user.
    pub(crate) const unsafe fn new(base: usize) -> Self {
        // SAFETY: the caller promises the module, whose registers fill the block.
        Self(unsafe { Registers::new(base, reg::BLOCK) })
    }

    /// Interrupts after `cycles`, at least one, instead of at any earlier setting.
    pub(crate) fn set(&mut self, cycles: u32) {
        self.stop();
        self.0.write(reg::CFG, CFG_32_BITS);
        self.0.write(reg::TAMR, MODE_ONE_SHOT);
        self.0.write(reg::TAILR, cycles);
        self.0.write(reg::IMR, TIME_OUT);
        self.0.write(reg::CTL, ENABLE);
    }

    /// Takes back the setting, and an interrupt that is due to it.
    pub(crate) fn stop(&mut self) {
        self.0.write(reg::CTL, 0);
        self.0.write(reg::ICR, TIME_OUT);
    }
}
