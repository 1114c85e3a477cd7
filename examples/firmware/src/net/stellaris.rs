//! Driver for the Ethernet controller of the TI (Luminary) Stellaris Fury class.
//!
//! Register names, offsets and bits: LM3S6965 data sheet, chapter 17 ("Ethernet
//! Controller"), sections 17.3 and 17.5.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use super::{FCS, FRAME};
use crate::mmio::Registers;

/// Offsets of the registers.
mod reg {
    /// Raw interrupt status; writing a one takes an event back.
    pub(crate) const RIS: usize = 0x00;
    /// Interrupt mask.
    pub(crate) const IM: usize = 0x04;
    /// Receive control.
    pub(crate) const RCTL: usize = 0x08;
    /// Transmit control.
    pub(crate) const TCTL: usize = 0x0c;
    /// Both FIFOs.
    pub(crate) const DATA: usize = 0x10;
    /// The hardware address, bytes one to four.
    pub(crate) const IA0: usize = 0x14;
    /// The hardware address, bytes five and six.
    pub(crate) const IA1: usize = 0x18;
    /// The number of received frames.
    pub(crate) const NP: usize = 0x34;
    /// Transmission request.
    pub(crate) const TR: usize = 0x38;
    /// The size of the block.
    pub(crate) const BLOCK: usize = 0x1000;
}

// RIS and IM.
const INT_RX: u32 = 1 << 0;
const INT_TX_ERROR: u32 = 1 << 1;
const INT_TX_EMPTY: u32 = 1 << 2;
const INT_RX_OVERRUN: u32 = 1 << 3;
const INT_RX_ERROR: u32 = 1 << 4;
const INT_ALL: u32 = 0x7f;
/// The transmit FIFO is free again, after a success or a failure.
const INT_TX_DONE: u32 = INT_TX_EMPTY | INT_TX_ERROR;
/// The content of the receive FIFO can no longer be divided into frames.
const INT_RX_BROKEN: u32 = INT_RX_OVERRUN | INT_RX_ERROR;
// RCTL.
const RCTL_ENABLE: u32 = 1 << 0;
const RCTL_REJECT_BAD_CRC: u32 = 1 << 3;
const RCTL_RESET_FIFO: u32 = 1 << 4;
// TCTL.
const TCTL_ENABLE: u32 = 1 << 0;
const TCTL_PAD: u32 = 1 << 1;
const TCTL_ADD_CRC: u32 = 1 << 2;
const TCTL_FULL_DUPLEX: u32 = 1 << 4;
// NP.
const NP_MASK: u32 = 0x3f;
// TR.
const TR_NEW_TX: u32 = 1 << 0;

/// A word of a FIFO, in bytes.
const WORD: usize = size_of::<u32>();
/// Before a frame the FIFOs have a length of 16 bits.
const LENGTH: usize = 2;
/// The header of a frame, which the length before a frame to be sent does not count.
const HEADER: usize = 14;
/// A received frame with its length and check sequence, in whole words.
const RX_SPACE: usize = (LENGTH + FRAME + FCS).next_multiple_of(WORD);
/// A frame to be sent with its length, in whole words.
const TX_SPACE: usize = (LENGTH + FRAME).next_multiple_of(WORD);

/// What the interrupt handler and the driver share.
pub struct Port {
    registers: Registers,
    waker: AtomicWaker,
}

impl Port {
    /// The controller at address `base`.
    ///
    /// # Safety
    ///
    /// There is a Stellaris Ethernet controller at `base`, clocked before the
    /// [`Stellaris`] on it is started and for as long as the program runs.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self {
            // SAFETY: the caller promises the controller, whose registers fill the block.
            // It has no DMA.
            registers: unsafe { Registers::new(base, reg::BLOCK) },
            waker: AtomicWaker::new(),
        }
    }

    /// To be called by the handler of the controller's interrupt.
    pub fn on_interrupt(&self) {
        self.registers.write(reg::IM, 0);
        self.waker.wake();
    }
}

/// Memory for a frame each way: 3 KiB, so keep it in a static.
pub struct Frames {
    rx: [u8; RX_SPACE],
    tx: [u8; TX_SPACE],
}

impl Frames {
    /// Empty frames.
    #[must_use]
    pub const fn new() -> Self {
        Self { rx: [0; RX_SPACE], tx: [0; TX_SPACE] }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// The driver.
///
/// It takes the link for up: QEMU does not model the PHY behind the MII registers, and
/// a cable that is out shows in time-outs further up.
pub struct Stellaris<'d> {
    port: &'d Port,
    frames: &'d mut Frames,
    address: [u8; 6],
}

impl<'d> Stellaris<'d> {
    /// Starts the controller with the given hardware address.
    ///
    /// The interrupt that calls [`Port::on_interrupt`] may be enabled before or after.
    #[must_use]
    pub fn start(port: &'d Port, frames: &'d mut Frames, address: [u8; 6]) -> Self {
        let registers = port.registers;
        registers.write(reg::IM, 0); // everything is enabled after a reset
        registers.write(reg::RIS, INT_ALL);
        let [a, b, c, d, e, f] = address;
        registers.write(reg::IA0, u32::from_le_bytes([a, b, c, d]));
        registers.write(reg::IA1, u32::from_le_bytes([e, f, 0, 0]));
        let transmit = TCTL_ENABLE | TCTL_PAD | TCTL_ADD_CRC | TCTL_FULL_DUPLEX;
        registers.write(reg::TCTL, transmit);
        reset_rx_fifo(registers);
        Self { port, frames, address }
    }

    /// Takes back the events so far, and no others: taking back a failed transmission
    /// resets the transmit FIFO, which must not hit the one under way.
    fn take_events(&self) -> u32 {
        let events = self.port.registers.read(reg::RIS);
        self.port.registers.write(reg::RIS, events);
        events
    }

    /// Whether the transmit FIFO is free: it holds one frame.
    fn can_transmit(&self) -> bool {
        self.port.registers.read(reg::TR) & TR_NEW_TX == 0
    }
}

impl Driver for Stellaris<'_> {
    type RxToken<'a>
        = Rx<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Tx<'a>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Rx<'_>, Tx<'_>)> {
        let registers = self.port.registers;
        self.port.waker.register(cx.waker());
        // First take back the events, then look: what happens in between is seen now, and
        // what happens after the look raises its event again.
        if self.take_events() & INT_RX_BROKEN != 0 {
            reset_rx_fifo(registers);
        }
        let has_frame = registers.read(reg::NP) & NP_MASK != 0;
        let can_transmit = self.can_transmit();
        if !(has_frame && can_transmit) {
            let receive = if has_frame { 0 } else { INT_RX };
            let transmit = if can_transmit { 0 } else { INT_TX_DONE };
            registers.write(reg::IM, receive | transmit | INT_RX_BROKEN);
            return None;
        }
        Some((
            Rx { registers, buffer: &mut self.frames.rx },
            Tx { registers, buffer: &mut self.frames.tx },
        ))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Tx<'_>> {
        let registers = self.port.registers;
        self.port.waker.register(cx.waker());
        if !self.can_transmit() {
            let enabled = registers.read(reg::IM);
            registers.write(reg::IM, enabled | INT_TX_DONE);
            return None;
        }
        Some(Tx { registers, buffer: &mut self.frames.tx })
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A received frame, still in the controller.
pub struct Rx<'a> {
    registers: Registers,
    buffer: &'a mut [u8; RX_SPACE],
}

impl RxToken for Rx<'_> {
    /// A frame of an impossible length arrives as an empty one, which the stack ignores.
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let first = self.registers.read(reg::DATA).to_le_bytes();
        // The length counts itself and the check sequence.
        let length = usize::from(u16::from_le_bytes([first[0], first[1]]));
        if !(LENGTH + FCS..=LENGTH + FRAME + FCS).contains(&length) {
            reset_rx_fifo(self.registers);
            return f(&mut []);
        }
        self.buffer[..WORD].copy_from_slice(&first);
        for word in self.buffer[WORD..length.next_multiple_of(WORD)].chunks_exact_mut(WORD) {
            word.copy_from_slice(&self.registers.read(reg::DATA).to_le_bytes());
        }
        f(&mut self.buffer[LENGTH..length - FCS])
    }
}

/// The controller's free transmit FIFO.
pub struct Tx<'a> {
    registers: Registers,
    buffer: &'a mut [u8; TX_SPACE],
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let end = LENGTH + length;
        let result = f(&mut self.buffer[LENGTH..end]);
        #[expect(clippy::cast_possible_truncation, reason = "the buffer is no longer than this")]
        let payload = length.saturating_sub(HEADER) as u16;
        self.buffer[..LENGTH].copy_from_slice(&payload.to_le_bytes());
        let (words, _) = self.buffer[..end.next_multiple_of(WORD)].as_chunks();
        for &word in words {
            self.registers.write(reg::DATA, u32::from_le_bytes(word));
        }
        self.registers.write(reg::TR, TR_NEW_TX);
        result
    }
}

/// Drops all received frames, and starts afresh.
fn reset_rx_fifo(registers: Registers) {
    registers.write(reg::RCTL, RCTL_RESET_FIFO);
    registers.write(reg::RIS, INT_RX_BROKEN | INT_RX);
    registers.write(reg::RCTL, RCTL_ENABLE | RCTL_REJECT_BAD_CRC);
}
