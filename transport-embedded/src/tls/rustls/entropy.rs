//! Randomness for rustls, which asks for it where no argument can bring it: from a static.

use core::cell::Cell;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use rand_core::CryptoRngCore;
use rustls::crypto::{GetRandomFailed, SecureRandom};
use sha2::{Digest as _, Sha256};

/// The one source. Every connection stirs 256 fresh bits into it.
pub(super) static ENTROPY: Entropy = Entropy { seed: Mutex::new(Cell::new(None)) };

/// A generator: block `k` of answer `n` is SHA-256(seed, n, k).
pub(super) struct Entropy {
    /// `None` before the first stir.
    seed: Mutex<CriticalSectionRawMutex, Cell<Option<Seed>>>,
}

/// A seed, and the number of answers from it.
type Seed = ([u8; 32], u64);

impl Entropy {
    /// Takes 32 bytes from `rng`. What was there before is hashed in, and cannot be found out from what
    /// is there then.
    pub(super) fn stir(&self, rng: &mut dyn CryptoRngCore) {
        let mut fresh = [0; 32];
        rng.fill_bytes(&mut fresh);
        let (old, count) = self.seed.lock(Cell::get).unwrap_or_default();
        let hash = Sha256::new().chain_update(old).chain_update(count.to_be_bytes());
        let seed = hash.chain_update(fresh).finalize().into();
        self.seed.lock(|place| place.set(Some((seed, 0))));
    }
}

impl SecureRandom for Entropy {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        let (seed, count) = self
            .seed
            .lock(|place| {
                let (seed, count) = place.get()?;
                place.set(Some((seed, count.wrapping_add(1))));
                Some((seed, count))
            })
            .ok_or(GetRandomFailed)?;
        for (block, bytes) in (0_u32..).zip(buf.chunks_mut(32)) {
            let hash = Sha256::new().chain_update(seed).chain_update(count.to_be_bytes());
            let hash = hash.chain_update(block.to_be_bytes()).finalize();
            bytes.iter_mut().zip(hash).for_each(|(byte, random)| *byte = random);
        }
        Ok(())
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator that is broken.
    struct Stuck;

    impl rand_core::RngCore for Stuck {
        fn next_u32(&mut self) -> u32 {
            1
        }

        fn next_u64(&mut self) -> u64 {
            1
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.fill(1);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
            bytes.fill(1);
            Ok(())
        }
    }

    impl rand_core::CryptoRng for Stuck {}

    #[test]
    fn no_answer_comes_twice_and_none_before_the_first_stir() {
        let entropy = Entropy { seed: Mutex::new(Cell::new(None)) };
        assert!(entropy.fill(&mut [0; 4]).is_err());
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3 {
            entropy.stir(&mut Stuck);
            for _ in 0..3 {
                let mut answer = [0; 70];
                entropy.fill(&mut answer).unwrap();
                for block in answer.chunks_exact(14) {
                    assert!(seen.insert(block.to_vec()));
                }
            }
        }
    }
}
