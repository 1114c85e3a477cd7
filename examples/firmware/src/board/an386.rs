//! ARM MPS2 with the AN386 image: Cortex-M4F.
//!
//! Sources: Arm application note AN386 ("ARM Cortex-M4 SMM on V2M-MPS2"), and
//! `hw/arm/mps2.c` of QEMU, whose machine is `mps2-an386`.

use static_cell::ConstStaticCell;

use super::{Handler, unmask, vectors};
use crate::net::lan9118::{Frames, Lan9118, Port};
pub(crate) use crate::timer::cmsdk::Alarm;

/// The board's name.
pub const NAME: &str = "an386";
/// The core's clock in Hz (AN386, "Clocks").
pub const CORE_HZ: u32 = 25_000_000;
/// The Ethernet chip's address and interrupt (AN386, memory map and interrupt map).
const ETHERNET_BASE: usize = 0x4020_0000;
pub(super) const ETHERNET_IRQ: u16 = 13;
/// The alarm's timer and its interrupt (AN386): timer 0, at the core's clock.
const ALARM_BASE: usize = 0x4000_0000;
pub(super) const ALARM_IRQ: u16 = 8;
/// Pin 7 of GPIO 0, which is wired to nothing here.
pub(crate) const SOFT_IRQ: u16 = 31;
/// AN386 has 32 interrupts.
const IRQS: usize = 32;

/// The driver of the board's Ethernet chip.
pub type Ethernet = Lan9118<'static>;

// SAFETY: the board has a LAN9220 there, and QEMU's machine a LAN9118.
static PORT: Port = unsafe { Port::new(ETHERNET_BASE) };

extern "C" fn on_ethernet() {
    PORT.on_interrupt();
}

/// The name and section that cortex-m-rt's linker script asks for.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
static __INTERRUPTS: [Handler; IRQS] = vectors(on_ethernet);

/// The clock is fixed.
pub(super) fn start_clocks() {}

pub(super) fn start_alarm() -> Alarm {
    // SAFETY: the board has its timer 0 there, and only this function names it; it is
    // called once, by `Board::take`.
    let alarm = unsafe { Alarm::new(ALARM_BASE) };
    unmask(ALARM_IRQ);
    alarm
}

#[expect(clippy::panic, reason = "nothing runs yet that could handle it")]
pub(super) fn start_ethernet() -> Ethernet {
    static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::new());
    let ethernet = Lan9118::start(&PORT, FRAMES.take()).unwrap_or_else(|error| panic!("{error}"));
    unmask(ETHERNET_IRQ);
    ethernet
}
