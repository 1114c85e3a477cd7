//! The board that the image is built for, chosen by a cargo feature.

#[cfg(feature = "board-an386")]
mod an386;
#[cfg(feature = "board-lm3s6965")]
mod lm3s6965;

#[cfg(feature = "board-an386")]
pub use an386::*;
#[cfg(feature = "board-lm3s6965")]
pub use lm3s6965::*;

#[cfg(all(feature = "board-an386", feature = "board-lm3s6965"))]
compile_error!(
    "choose one board: `--no-default-features --features board-lm3s6965` for the small one"
);
#[cfg(not(any(feature = "board-an386", feature = "board-lm3s6965")))]
compile_error!("choose a board: feature `board-an386` or `board-lm3s6965`");

use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};

use crate::soft_interrupt::SoftInterrupt;

/// What the board has to offer, with its clocks and time running.
pub struct Board {
    /// The Ethernet port, for [`net::start`](crate::net::start).
    pub ethernet: Ethernet,
    /// An interrupt for software to raise.
    pub soft_interrupt: SoftInterrupt,
}

impl Board {
    /// Starts the board. To be called once, first thing in `main`.
    ///
    /// # Panics
    ///
    /// If called twice, or if the Ethernet chip does not start.
    #[must_use]
    #[expect(clippy::expect_used, reason = "nothing runs yet that could handle it")]
    pub fn take() -> Self {
        let core = cortex_m::Peripherals::take().expect("the board is taken once");
        start_clocks();
        crate::time::start(core.SYST, start_alarm());
        Self { ethernet: start_ethernet(), soft_interrupt: SoftInterrupt::new() }
    }
}

/// An interrupt by its number in the vector table.
#[derive(Clone, Copy)]
pub(crate) struct Irq(pub(crate) u16);

// SAFETY: it is the number that NVIC's registers take, fixed when made from a constant
// of the board.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

/// An entry of the vector table.
type Handler = unsafe extern "C" fn();

unsafe extern "C" {
    /// cortex-m-rt's name for what it calls when nothing else is there.
    fn DefaultHandler();
}

/// The vector table of the board's devices.
const fn vectors<const N: usize>(ethernet: Handler) -> [Handler; N] {
    let mut table: [Handler; N] = [DefaultHandler; N];
    table[ETHERNET_IRQ as usize] = ethernet;
    table[ALARM_IRQ as usize] = crate::time::on_alarm;
    table[SOFT_IRQ as usize] = crate::soft_interrupt::on_interrupt;
    table
}

/// Lets a device interrupt the core.
pub(crate) fn unmask(irq: u16) {
    // SAFETY: no critical section of this program masks single lines.
    unsafe { NVIC::unmask(Irq(irq)) };
}
