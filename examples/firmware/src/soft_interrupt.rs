//! An interrupt that software raises, to run code in interrupt context.

use core::cell::Cell;

use cortex_m::peripheral::NVIC;
use embassy_sync::blocking_mutex::CriticalSectionMutex;

use crate::board::{self, Irq, SOFT_IRQ};

/// What an interrupt runs.
type Handler = fn();

static HANDLER: CriticalSectionMutex<Cell<Option<Handler>>> =
    CriticalSectionMutex::new(Cell::new(None));

/// An interrupt line that no device uses: [`Trigger::pend`] stands for a device's event.
///
/// Only [`Board::take`](crate::board::Board::take) makes one.
pub struct SoftInterrupt {
    _private: (),
}

/// Raises the interrupt; for tasks that do not own the [`SoftInterrupt`].
#[derive(Clone, Copy)]
pub struct Trigger {
    _private: (),
}

impl SoftInterrupt {
    pub(crate) fn new() -> Self {
        Self { _private: () }
    }

    /// Has `handler` run, in interrupt context, each time the interrupt is raised.
    ///
    /// The handler takes what it needs from statics, as any interrupt handler does.
    pub fn enable(self, handler: Handler) -> Trigger {
        HANDLER.lock(|cell| cell.set(Some(handler)));
        board::unmask(SOFT_IRQ);
        Trigger { _private: () }
    }
}

impl Trigger {
    /// Raises the interrupt. It has been handled when this returns, unless interrupts are
    /// masked or this is itself an interrupt handler; several raised before the handler
    /// runs are one.
    pub fn pend(self) {
        NVIC::pend(Irq(SOFT_IRQ));
        // Without these the handler may start an instruction or two later (Armv7-M ARM, B3.4).
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
    }
}

/// The line's entry in the vector table.
pub(crate) extern "C" fn on_interrupt() {
    if let Some(handler) = HANDLER.lock(Cell::get) {
        handler();
    }
}
