//! Registers and formats of the LAN9118.
//!
//! Names, offsets and bits: SMSC LAN9118 data sheet, revision 1.5, chapter 5 ("Register
//! Description"); FIFO and command formats: chapter 3.

/// Direct registers: FIFO ports, then system control and status.
pub(super) mod reg {
    pub(crate) const RX_DATA_FIFO: usize = 0x00;
    pub(crate) const TX_DATA_FIFO: usize = 0x20;
    pub(crate) const RX_STATUS_FIFO: usize = 0x40;
    pub(crate) const RX_STATUS_PEEK: usize = 0x44;
    pub(crate) const TX_STATUS_FIFO: usize = 0x48;
    pub(crate) const ID_REV: usize = 0x50;
    pub(crate) const IRQ_CFG: usize = 0x54;
    pub(crate) const INT_STS: usize = 0x58;
    pub(crate) const INT_EN: usize = 0x5c;
    pub(crate) const BYTE_TEST: usize = 0x64;
    pub(crate) const FIFO_INT: usize = 0x68;
    pub(crate) const RX_CFG: usize = 0x6c;
    pub(crate) const TX_CFG: usize = 0x70;
    pub(crate) const HW_CFG: usize = 0x74;
    pub(crate) const RX_FIFO_INF: usize = 0x7c;
    pub(crate) const TX_FIFO_INF: usize = 0x80;
    pub(crate) const PMT_CTRL: usize = 0x84;
    pub(crate) const MAC_CSR_CMD: usize = 0xa4;
    pub(crate) const MAC_CSR_DATA: usize = 0xa8;
    pub(crate) const E2P_CMD: usize = 0xb0;
    /// The size of the block.
    pub(crate) const BLOCK: usize = 0x100;
}

/// Registers of the MAC, reached through `MAC_CSR_CMD`.
pub(super) mod mac {
    pub(crate) const CR: u32 = 1;
    pub(crate) const ADDRH: u32 = 2;
    pub(crate) const ADDRL: u32 = 3;
    pub(crate) const MII_ACC: u32 = 6;
    pub(crate) const MII_DATA: u32 = 7;
}

/// Registers of the PHY, reached through `mac::MII_ACC`.
pub(super) mod phy {
    pub(crate) const CONTROL: u32 = 0;
    pub(crate) const STATUS: u32 = 1;
    pub(crate) const ADVERTISED: u32 = 4;
    pub(crate) const PARTNER: u32 = 5;
    pub(crate) const INTERRUPT_SOURCE: u32 = 29;
    pub(crate) const INTERRUPT_MASK: u32 = 30;
}

pub(super) const ID_LAN9118: u32 = 0x0118;
pub(super) const ID_LAN9220: u32 = 0x9220;
/// What `BYTE_TEST` reads when the bus has the width and byte order it should.
pub(super) const BYTE_TEST_VALUE: u32 = 0x8765_4321;

// IRQ_CFG: the pin drives, and is high when active, which suits the NVIC.
pub(super) const IRQ_ENABLE: u32 = 1 << 8;
pub(super) const IRQ_ACTIVE_HIGH: u32 = 1 << 4;
pub(super) const IRQ_PUSH_PULL: u32 = 1 << 0;
// INT_STS and INT_EN.
pub(super) const INT_PHY: u32 = 1 << 18;
pub(super) const INT_TX_DATA_AVAILABLE: u32 = 1 << 9;
pub(super) const INT_RX_STATUS_LEVEL: u32 = 1 << 3;
// FIFO_INT: free space for transmission above this, in units of 64 bytes, and more
// received frames than zero (bits 7:0) raise their interrupts.
pub(super) const FIFO_INT_TX_AVAILABLE_SHIFT: u32 = 24;
pub(super) const FIFO_INT_TX_UNIT: u32 = 64;
// TX_CFG.
pub(super) const TX_ON: u32 = 1 << 1;
// HW_CFG.
pub(super) const HW_MUST_BE_ONE: u32 = 1 << 20;
pub(super) const HW_TX_FIFO_5K: u32 = 5 << 16;
pub(super) const HW_SOFT_RESET: u32 = 1 << 0;
// PMT_CTRL.
pub(super) const PMT_READY: u32 = 1 << 0;
// RX_FIFO_INF and TX_FIFO_INF.
pub(super) const INF_STATUS_USED_SHIFT: u32 = 16;
pub(super) const INF_STATUS_USED_MASK: u32 = 0xff;
pub(super) const INF_TX_DATA_FREE_MASK: u32 = 0xffff;
// MAC_CSR_CMD.
pub(super) const CSR_BUSY: u32 = 1 << 31;
pub(super) const CSR_READ: u32 = 1 << 30;
// E2P_CMD.
pub(super) const E2P_BUSY: u32 = 1 << 31;
// mac::CR.
pub(super) const MAC_FULL_DUPLEX: u32 = 1 << 20;
pub(super) const MAC_TX_ENABLE: u32 = 1 << 3;
pub(super) const MAC_RX_ENABLE: u32 = 1 << 2;
// mac::MII_ACC.
pub(super) const MII_INTERNAL_PHY: u32 = 1 << 11;
pub(super) const MII_REGISTER_SHIFT: u32 = 6;
pub(super) const MII_WRITE: u32 = 1 << 1;
pub(super) const MII_BUSY: u32 = 1 << 0;
// phy::CONTROL, phy::STATUS, phy::ADVERTISED and phy::PARTNER (IEEE 802.3, 22.2.4).
pub(super) const PHY_NEGOTIATE: u32 = 1 << 12;
pub(super) const PHY_RESTART_NEGOTIATION: u32 = 1 << 9;
pub(super) const PHY_LINK: u32 = 1 << 2;
pub(super) const PHY_100_FULL: u32 = 1 << 8;
pub(super) const PHY_10_FULL: u32 = 1 << 6;
pub(super) const PHY_100_HALF: u32 = 1 << 7;
// phy::INTERRUPT_MASK.
pub(super) const PHY_INT_NEGOTIATED: u32 = 1 << 6;
pub(super) const PHY_INT_LINK_DOWN: u32 = 1 << 4;
// A frame's word in the RX status FIFO.
pub(super) const RX_LENGTH_SHIFT: u32 = 16;
pub(super) const RX_LENGTH_MASK: u32 = 0x3fff;
pub(super) const RX_ERROR: u32 = 1 << 15;
// The two command words before a frame in the TX data FIFO.
pub(super) const TX_A_FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;
