//! Memory from the system itself, of which only what is used is there.
//!
//! An allocator gives such memory, too, but not always: glibc takes blocks from its heap once it has freed a mapped block of
//! their size, and then clears them, so that all of it is there.

use memmap2::MmapMut;

use crate::client::error::ClientError;

/// `bytes` bytes, all of them zero.
///
/// # Errors
/// When there is no memory.
pub(super) fn zeroed(bytes: usize) -> Result<MmapMut, ClientError> {
    let pages = MmapMut::map_anon(bytes).map_err(|_| ClientError::Memory)?;
    // A huge page would be there as a whole. A kernel without huge pages refuses, and nothing is lost.
    #[cfg(target_os = "linux")]
    let _ = pages.advise(memmap2::Advice::NoHugePage);
    Ok(pages)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

    use super::*;

    #[test]
    fn they_are_as_long_as_asked_for_and_zero() {
        for bytes in [0, 1, 4_096, 131_216] {
            let pages = zeroed(bytes).unwrap();
            assert_eq!(pages.len(), bytes);
            assert!(pages.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_there_is_no_memory_for_is_an_error() {
        assert!(matches!(zeroed(usize::MAX), Err(ClientError::Memory)));
        assert!(matches!(zeroed(isize::MAX.unsigned_abs()), Err(ClientError::Memory)));
    }
}
