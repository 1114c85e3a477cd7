//! Driver for the SMSC LAN9118 and its successor LAN9220, on a 32-bit bus.

mod registers;

use core::fmt;
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use self::registers::*;
use super::{FCS, FRAME};
use crate::mmio::Registers;

/// A word of a FIFO, in bytes.
const WORD: usize = size_of::<u32>();
/// A frame and its check sequence in whole words, as the RX FIFO holds it.
const RX_SPACE: usize = (FRAME + FCS).next_multiple_of(WORD);
/// A frame in whole words, and its two commands, as the TX FIFO takes it.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const TX_SPACE: u32 = (FRAME.next_multiple_of(WORD) + 2 * WORD) as u32;
/// A bit of the first byte of addresses of groups (IEEE 802.3, 3.2.3).
const GROUP_ADDRESS: u8 = 1 << 0;
/// How often a bit is looked at that the chip should change within microseconds, before
/// the chip counts as dead. Arbitrary, and long.
const PATIENCE: u32 = 1_000_000;

/// What the interrupt handler and the driver share.
pub struct Port {
    registers: Registers,
    waker: AtomicWaker,
}

impl Port {
    /// The chip at address `base`.
    ///
    /// # Safety
    ///
    /// There is a LAN9118 or LAN9220 at `base` for as long as the program runs.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self {
            // SAFETY: the caller promises the chip, whose registers fill the block. It has
            // no DMA.
            registers: unsafe { Registers::new(base, reg::BLOCK) },
            waker: AtomicWaker::new(),
        }
    }

    /// To be called by the handler of the chip's interrupt.
    pub fn on_interrupt(&self) {
        self.registers.write(reg::INT_EN, 0);
        self.waker.wake();
    }
}

/// Memory for a frame each way: 3 KiB, so keep it in a static.
pub struct Frames {
    rx: [u8; RX_SPACE],
    tx: [u8; FRAME],
}

impl Frames {
    /// Empty frames.
    #[must_use]
    pub const fn new() -> Self {
        Self { rx: [0; RX_SPACE], tx: [0; FRAME] }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the chip could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Something else answers at the address, or nothing.
    NotFound {
        /// What was read from `ID_REV`.
        id: u32,
    },
    /// The EEPROM holds no hardware address.
    NoAddress,
    /// The chip is there, but does not complete a command.
    Stuck,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { id } => write!(f, "the Ethernet chip is another one: {id:#010x}"),
            Self::NoAddress => f.write_str("the Ethernet chip has no address"),
            Self::Stuck => f.write_str("the Ethernet chip is stuck"),
        }
    }
}

impl core::error::Error for StartError {}

/// The driver.
pub struct Lan9118<'d> {
    port: &'d Port,
    frames: &'d mut Frames,
    address: [u8; 6],
    link: LinkState,
}

impl<'d> Lan9118<'d> {
    /// Resets the chip and starts it, with the hardware address from its EEPROM.
    ///
    /// The interrupt that calls [`Port::on_interrupt`] may be enabled before or after.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn start(port: &'d Port, frames: &'d mut Frames) -> Result<Self, StartError> {
        let mut chip = Self { port, frames, address: [0; 6], link: LinkState::Down };
        let registers = port.registers;

        // The chip may be asleep, and READY is the one bit that may be polled until then.
        chip.wait(reg::PMT_CTRL, PMT_READY, PMT_READY)?;
        let id = registers.read(reg::ID_REV);
        let known = [ID_LAN9118, ID_LAN9220].contains(&(id >> 16));
        if !known || registers.read(reg::BYTE_TEST) != BYTE_TEST_VALUE {
            return Err(StartError::NotFound { id });
        }

        registers.write(reg::HW_CFG, HW_SOFT_RESET);
        chip.wait(reg::HW_CFG, HW_SOFT_RESET, 0)?;
        registers.write(reg::HW_CFG, HW_MUST_BE_ONE | HW_TX_FIFO_5K);
        // After a reset the chip loads the address from its EEPROM.
        chip.wait(reg::E2P_CMD, E2P_BUSY, 0)?;
        chip.address = chip.read_address()?;

        registers.write(reg::INT_EN, 0);
        registers.write(reg::INT_STS, u32::MAX);
        let level = TX_SPACE.div_ceil(FIFO_INT_TX_UNIT);
        registers.write(reg::FIFO_INT, level << FIFO_INT_TX_AVAILABLE_SHIFT);
        registers.write(reg::IRQ_CFG, IRQ_ENABLE | IRQ_ACTIVE_HIGH | IRQ_PUSH_PULL);

        chip.write_phy(phy::INTERRUPT_MASK, PHY_INT_NEGOTIATED | PHY_INT_LINK_DOWN)?;
        chip.write_phy(phy::CONTROL, PHY_NEGOTIATE | PHY_RESTART_NEGOTIATION)?;
        chip.write_mac(mac::CR, MAC_TX_ENABLE | MAC_RX_ENABLE)?;
        registers.write(reg::RX_CFG, 0); // frames word by word, no offset
        registers.write(reg::TX_CFG, TX_ON);
        chip.update_link()?;
        Ok(chip)
    }

    /// Waits until the bits `mask` of a register read `value`.
    fn wait(&self, register: usize, mask: u32, value: u32) -> Result<(), StartError> {
        (0..PATIENCE)
            .any(|_| self.port.registers.read(register) & mask == value)
            .then_some(())
            .ok_or(StartError::Stuck)
    }

    fn read_mac(&self, register: u32) -> Result<u32, StartError> {
        self.port.registers.write(reg::MAC_CSR_CMD, CSR_BUSY | CSR_READ | register);
        self.wait(reg::MAC_CSR_CMD, CSR_BUSY, 0)?;
        Ok(self.port.registers.read(reg::MAC_CSR_DATA))
    }

    fn write_mac(&self, register: u32, value: u32) -> Result<(), StartError> {
        self.port.registers.write(reg::MAC_CSR_DATA, value);
        self.port.registers.write(reg::MAC_CSR_CMD, CSR_BUSY | register);
        self.wait(reg::MAC_CSR_CMD, CSR_BUSY, 0)
    }

    fn access_phy(&self, register: u32, direction: u32) -> Result<(), StartError> {
        let access = MII_INTERNAL_PHY | register << MII_REGISTER_SHIFT | direction | MII_BUSY;
        self.write_mac(mac::MII_ACC, access)?;
        for _ in 0..PATIENCE {
            if self.read_mac(mac::MII_ACC)? & MII_BUSY == 0 {
                return Ok(());
            }
        }
        Err(StartError::Stuck)
    }

    fn read_phy(&self, register: u32) -> Result<u32, StartError> {
        self.access_phy(register, 0)?;
        self.read_mac(mac::MII_DATA)
    }

    fn write_phy(&self, register: u32, value: u32) -> Result<(), StartError> {
        self.write_mac(mac::MII_DATA, value)?;
        self.access_phy(register, MII_WRITE)
    }

    fn read_address(&self) -> Result<[u8; 6], StartError> {
        let [a, b, c, d] = self.read_mac(mac::ADDRL)?.to_le_bytes();
        let [e, f, ..] = self.read_mac(mac::ADDRH)?.to_le_bytes();
        // Without an EEPROM it stays at all ones, which is no station's.
        if a & GROUP_ADDRESS == 0 { Ok([a, b, c, d, e, f]) } else { Err(StartError::NoAddress) }
    }

    /// Asks the PHY for the link, and has the MAC use the duplex that was agreed on.
    fn update_link(&mut self) -> Result<(), StartError> {
        // Reading the source clears it. The status remembers a past failure until it is
        // read: the second reading is the present.
        self.read_phy(phy::INTERRUPT_SOURCE)?;
        self.port.registers.write(reg::INT_STS, INT_PHY);
        self.read_phy(phy::STATUS)?;
        let up = self.read_phy(phy::STATUS)? & PHY_LINK != 0;
        self.link = if up { LinkState::Up } else { LinkState::Down };
        if up {
            let common = self.read_phy(phy::ADVERTISED)? & self.read_phy(phy::PARTNER)?;
            // The best of what both can do: 100 half is better than 10 full.
            let full = common & PHY_100_FULL != 0
                || (common & PHY_100_HALF == 0 && common & PHY_10_FULL != 0);
            let duplex = if full { MAC_FULL_DUPLEX } else { 0 };
            self.write_mac(mac::CR, MAC_TX_ENABLE | MAC_RX_ENABLE | duplex)?;
        }
        Ok(())
    }

    /// The length with check sequence of the oldest received frame that is fit to be
    /// read; drops those before it that are not.
    fn next_frame(&mut self) -> Option<usize> {
        let registers = self.port.registers;
        loop {
            let waiting = registers.read(reg::RX_FIFO_INF) >> INF_STATUS_USED_SHIFT;
            if waiting & INF_STATUS_USED_MASK == 0 {
                return None;
            }
            let status = registers.read(reg::RX_STATUS_PEEK);
            let length = (status >> RX_LENGTH_SHIFT & RX_LENGTH_MASK) as usize;
            if status & RX_ERROR == 0 && (FCS..=FRAME + FCS).contains(&length) {
                return Some(length);
            }
            registers.read(reg::RX_STATUS_FIFO);
            for _ in 0..length.div_ceil(WORD) {
                registers.read(reg::RX_DATA_FIFO);
            }
        }
    }

    /// Whether a whole frame can be handed to the chip.
    fn has_tx_space(&self) -> bool {
        let registers = self.port.registers;
        let mut fifos = registers.read(reg::TX_FIFO_INF);
        // The status FIFO is not used, but it stops transmission when it is full.
        for _ in 0..fifos >> INF_STATUS_USED_SHIFT & INF_STATUS_USED_MASK {
            registers.read(reg::TX_STATUS_FIFO);
        }
        fifos &= INF_TX_DATA_FREE_MASK;
        fifos >= TX_SPACE
    }
}

impl Driver for Lan9118<'_> {
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
        registers.write(reg::INT_STS, INT_RX_STATUS_LEVEL | INT_TX_DATA_AVAILABLE);
        let frame = self.next_frame();
        let has_tx_space = self.has_tx_space();
        let (Some(length), true) = (frame, has_tx_space) else {
            let starved = if has_tx_space { 0 } else { INT_TX_DATA_AVAILABLE };
            let receive = if frame.is_none() { INT_RX_STATUS_LEVEL } else { 0 };
            registers.write(reg::INT_EN, INT_PHY | receive | starved);
            return None;
        };
        Some((
            Rx { registers, length, buffer: &mut self.frames.rx },
            Tx { registers, buffer: &mut self.frames.tx },
        ))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Tx<'_>> {
        let registers = self.port.registers;
        self.port.waker.register(cx.waker());
        registers.write(reg::INT_STS, INT_TX_DATA_AVAILABLE);
        if !self.has_tx_space() {
            let enabled = registers.read(reg::INT_EN);
            registers.write(reg::INT_EN, enabled | INT_TX_DATA_AVAILABLE);
            return None;
        }
        Some(Tx { registers, buffer: &mut self.frames.tx })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.port.waker.register(cx.waker());
        if self.port.registers.read(reg::INT_STS) & INT_PHY != 0 && self.update_link().is_err() {
            self.link = LinkState::Down;
        }
        self.link
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

/// A received frame, still in the chip.
pub struct Rx<'a> {
    registers: Registers,
    length: usize,
    buffer: &'a mut [u8; RX_SPACE],
}

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        self.registers.read(reg::RX_STATUS_FIFO);
        let words = self.length.div_ceil(WORD);
        for word in self.buffer.chunks_exact_mut(WORD).take(words) {
            word.copy_from_slice(&self.registers.read(reg::RX_DATA_FIFO).to_le_bytes());
        }
        f(&mut self.buffer[..self.length - FCS])
    }
}

/// Space for a frame in the chip.
pub struct Tx<'a> {
    registers: Registers,
    buffer: &'a mut [u8; FRAME],
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let result = f(&mut self.buffer[..length]);
        let send = |word| self.registers.write(reg::TX_DATA_FIFO, word);
        #[expect(clippy::cast_possible_truncation, reason = "the buffer is no longer than this")]
        let size = length as u32;
        send(TX_A_FIRST_AND_LAST | size);
        send(size);
        let (words, rest) = self.buffer[..length].as_chunks();
        words.iter().for_each(|&word| send(u32::from_le_bytes(word)));
        if !rest.is_empty() {
            let mut last = [0; WORD];
            last[..rest.len()].copy_from_slice(rest);
            send(u32::from_le_bytes(last));
        }
        result
    }
}
