//! Randomness fit for keys, from the host.

use rand_core::{CryptoRng, Error as RngError, RngCore, impls};

use super::exit;
use super::semihosting::{Error, read_file_exact};
use crate::println;

/// The host's random device.
const SOURCE: &str = "/dev/urandom";

/// The host's random numbers, in the place of a part's own generator.
///
/// Being `RngCore + CryptoRng` it is embedded-tls's `CryptoRngCore`. A host whose device cannot be read any more ends the
/// program.
pub struct Entropy(());

impl Entropy {
    /// The generator, which was tried.
    ///
    /// # Errors
    ///
    /// The host's random device cannot be read.
    pub fn from_host() -> Result<Self, Error> {
        seed().map(|_| Self(()))
    }
}

impl RngCore for Entropy {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        if read_file_exact(SOURCE, bytes).is_err() {
            println!("failed: no entropy");
            exit(1)
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// The host's device is one.
impl CryptoRng for Entropy {}

/// 64 random bits straight from the host: a seed for the network stack's port numbers.
///
/// # Errors
///
/// The host's random device cannot be read.
pub fn seed() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    read_file_exact(SOURCE, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
