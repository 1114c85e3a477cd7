//! A block of 32-bit device registers.

use core::ptr;

/// A block of memory-mapped, 32-bit registers, addressed by byte offset.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    base: usize,
    size: usize,
}

impl Registers {
    /// Names the block of `size` bytes at `base`.
    ///
    /// # Safety
    ///
    /// The whole block is a device's registers, mapped for as long as the program
    /// runs, and no access to it can break Rust's memory: the device does no DMA.
    pub(crate) const unsafe fn new(base: usize, size: usize) -> Self {
        Self { base, size }
    }

    /// Reads the register at `offset`.
    #[inline]
    pub(crate) fn read(self, offset: usize) -> u32 {
        // SAFETY: `address` keeps it inside the block, and `new` had the block promised.
        unsafe { ptr::read_volatile(ptr::with_exposed_provenance(self.address(offset))) }
    }

    /// Writes the register at `offset`.
    #[inline]
    pub(crate) fn write(self, offset: usize, value: u32) {
        // SAFETY: `address` keeps it inside the block, and `new` had the block promised.
        unsafe {
            ptr::write_volatile(ptr::with_exposed_provenance_mut(self.address(offset)), value);
        }
    }

    /// With constant offsets, as everywhere here, the check is gone after inlining.
    #[inline]
    fn address(self, offset: usize) -> usize {
        assert!(offset.is_multiple_of(4) && offset < self.size);
        self.base + offset
    }
}
