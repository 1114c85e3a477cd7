//! TI (Luminary) LM3S6965 evaluation board: Cortex-M3, 256 KiB flash, 64 KiB RAM.
//!
//! Sources: LM3S6965 data sheet, chapter 5 ("System Control") for the registers, table 2-9
//! for the interrupts; `hw/arm/stellaris.c` of QEMU, whose machine is `lm3s6965evb`.

use static_cell::ConstStaticCell;

use super::{Handler, unmask, vectors};
pub(crate) use crate::timer::gptm::Alarm;
use crate::{
    mmio::Registers,
    net::stellaris::{Frames, Port, Stellaris},
};

/// The board's name.
pub const NAME: &str = "lm3s6965";
/// The core's clock in Hz: the part's highest, the PLL's 200 MHz by four.
pub const CORE_HZ: u32 = 50_000_000;
const ETHERNET_BASE: usize = 0x4004_8000;
pub(super) const ETHERNET_IRQ: u16 = 42;
/// The alarm's timer and its interrupt: module 0, timer A.
const ALARM_BASE: usize = 0x4003_0000;
pub(super) const ALARM_IRQ: u16 = 19;
/// CAN 0 on other parts of the family; no device on this one.
pub(crate) const SOFT_IRQ: u16 = 39;
/// The part's last interrupt is 43, hibernation.
const IRQS: usize = 44;

/// System control: clocks, and the two words that a user may program in flash.
mod sysctl {
    pub(crate) const BASE: usize = 0x400f_e000;
    pub(crate) const BLOCK: usize = 0x1000;
    /// Raw interrupt status.
    pub(crate) const RIS: usize = 0x050;
    /// Run-mode clock configuration.
    pub(crate) const RCC: usize = 0x060;
    /// Run-mode clock gating, second register.
    pub(crate) const RCGC1: usize = 0x104;
    /// Run-mode clock gating, third register.
    pub(crate) const RCGC2: usize = 0x108;
    pub(crate) const USER_REG0: usize = 0x1e0;
    pub(crate) const USER_REG1: usize = 0x1e4;

    // RIS.
    pub(crate) const PLL_LOCKED: u32 = 1 << 6;
    // RCC.
    pub(crate) const SYSDIV: u32 = 0xf << 23;
    pub(crate) const SYSDIV_BY_4: u32 = 0x3 << 23;
    pub(crate) const USE_SYSDIV: u32 = 1 << 22;
    pub(crate) const PLL_POWER_DOWN: u32 = 1 << 13;
    pub(crate) const PLL_BYPASS: u32 = 1 << 11;
    pub(crate) const CRYSTAL: u32 = 0xf << 6;
    pub(crate) const CRYSTAL_8_MHZ: u32 = 0xe << 6;
    /// Source of the clock; zero is the main oscillator.
    pub(crate) const SOURCE: u32 = 0x3 << 4;
    pub(crate) const MAIN_OSCILLATOR_OFF: u32 = 1 << 0;
    // RCGC1.
    pub(crate) const TIMER_0: u32 = 1 << 16;
    // RCGC2.
    pub(crate) const ETHERNET_PHY: u32 = 1 << 30;
    pub(crate) const ETHERNET_MAC: u32 = 1 << 28;
}

// SAFETY: system control of the LM3S6965 fills this block.
const SYSCTL: Registers = unsafe { Registers::new(sysctl::BASE, sysctl::BLOCK) };

/// The driver of the part's Ethernet controller.
pub type Ethernet = Stellaris<'static>;

// SAFETY: the part has its controller there; `start_clocks` clocks it.
static PORT: Port = unsafe { Port::new(ETHERNET_BASE) };

extern "C" fn on_ethernet() {
    PORT.on_interrupt();
}

/// The name and section that cortex-m-rt's linker script asks for.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
static __INTERRUPTS: [Handler; IRQS] = vectors(on_ethernet);

/// Runs the core from the PLL on the board's 8 MHz crystal, in the order that section
/// 5.3 of the data sheet prescribes, and clocks the devices that are used.
pub(super) fn start_clocks() {
    use sysctl::*;
    // Run from the oscillator while the PLL changes.
    let mut rcc = (SYSCTL.read(RCC) | PLL_BYPASS) & !USE_SYSDIV;
    SYSCTL.write(RCC, rcc);
    rcc &= !(CRYSTAL | SOURCE | PLL_POWER_DOWN | MAIN_OSCILLATOR_OFF);
    rcc |= CRYSTAL_8_MHZ;
    SYSCTL.write(RCC, rcc);
    rcc = rcc & !SYSDIV | SYSDIV_BY_4 | USE_SYSDIV;
    SYSCTL.write(RCC, rcc);
    // Without a lock there is no clock that would be right for anything after this.
    while SYSCTL.read(RIS) & PLL_LOCKED == 0 {}
    SYSCTL.write(RCC, rcc & !PLL_BYPASS);

    SYSCTL.write(RCGC1, SYSCTL.read(RCGC1) | TIMER_0);
    SYSCTL.write(RCGC2, SYSCTL.read(RCGC2) | ETHERNET_PHY | ETHERNET_MAC);
    // A device answers from the third cycle on (data sheet, registers RCGC1 and 2).
    cortex_m::asm::delay(3);
}

pub(super) fn start_alarm() -> Alarm {
    // SAFETY: the part has its timer module 0 there, and only this function names it; it
    // is called once, by `Board::take`, after `start_clocks`.
    let alarm = unsafe { Alarm::new(ALARM_BASE) };
    unmask(ALARM_IRQ);
    alarm
}

pub(super) fn start_ethernet() -> Ethernet {
    static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::new());
    let ethernet = Stellaris::start(&PORT, FRAMES.take(), hardware_address());
    unmask(ETHERNET_IRQ);
    ethernet
}

/// The board's maker programs it into the two user registers, three bytes each.
fn hardware_address() -> [u8; 6] {
    let [a, b, c, _] = SYSCTL.read(sysctl::USER_REG0).to_le_bytes();
    let [d, e, f, _] = SYSCTL.read(sysctl::USER_REG1).to_le_bytes();
    [a, b, c, d, e, f]
}
