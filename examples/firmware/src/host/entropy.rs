//! Randomness fit for keys, from the host.

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};

use super::semihosting::{Error, read_file_exact};

/// The host's random device.
const SOURCE: &str = "/dev/urandom";

/// A cryptographically secure generator, seeded with 256 bits from the host.
///
/// Keep one for the life of the program: it never yields the same key twice, and a
/// number costs no semihosting call. Being `RngCore + CryptoRng` it is embedded-tls's
/// `CryptoRngCore`.
pub struct Entropy(ChaCha20Rng);

impl Entropy {
    /// Seeds a generator.
    ///
    /// # Errors
    ///
    /// The host's random device cannot be read.
    pub fn from_host() -> Result<Self, Error> {
        let mut seed = [0; 32];
        read_file_exact(SOURCE, &mut seed)?;
        Ok(Self(ChaCha20Rng::from_seed(seed)))
    }
}

impl RngCore for Entropy {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.try_fill_bytes(bytes)
    }
}

/// The generator is ChaCha20 with a seed of full strength.
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
