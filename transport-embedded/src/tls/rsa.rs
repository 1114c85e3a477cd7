//! RSA signatures (RFC 8017), verified: PKCS#1 v1.5, and PSS with a salt as long as the hash, both with SHA-256, SHA-384 and
//! SHA-512, for keys of 2,048 to 4,096 bits. The arithmetic is crypto-bigint's, which needs no allocator.
//!
//! Everything here is public, so nothing takes care to take the same time for all values.

use crypto_bigint::{NonZero, Odd, U4096};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::algorithms::{HASH_MAX, hash};
use super::der;

/// The longest modulus and signature in bytes.
const MODULUS_MAX: usize = 512;
/// The longest key, as a certificate has it: two numbers in DER, each with a zero in front.
pub(super) const KEY_MAX: usize = 4 + (4 + 1 + MODULUS_MAX) + (2 + 5);
pub(super) const SIGNATURE_MAX: usize = MODULUS_MAX;

const MODULUS_BITS: core::ops::RangeInclusive<u32> = 2_048..=4_096;
/// Odd numbers of these. Nearly all keys have 65,537.
const EXPONENTS: core::ops::RangeInclusive<u64> = 3..=(1 << 33) - 1;

/// A hash and its name in DER: a `DigestInfo` up to the hash (RFC 8017, section 9.2, note 1).
pub(super) trait Hash: Digest {
    const DIGEST_INFO: &'static [u8; 19];
}

/// All differ in the last byte of the algorithm (2.16.840.1.101.3.4.2) and in two lengths.
const fn digest_info(algorithm: u8, length: u8) -> [u8; 19] {
    [
        0x30,
        17 + length,
        0x30,
        0x0d,
        6,
        9,
        0x60,
        0x86,
        0x48,
        1,
        0x65,
        3,
        4,
        2,
        algorithm,
        5,
        0,
        4,
        length,
    ]
}

impl Hash for Sha256 {
    const DIGEST_INFO: &'static [u8; 19] = &digest_info(1, 32);
}
impl Hash for Sha384 {
    const DIGEST_INFO: &'static [u8; 19] = &digest_info(2, 48);
}
impl Hash for Sha512 {
    const DIGEST_INFO: &'static [u8; 19] = &digest_info(3, 64);
}

/// What was signed, as long as the modulus, and the bits of the modulus.
struct Signed {
    bytes: [u8; MODULUS_MAX],
    length: usize,
    bits: u32,
}

impl Signed {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[MODULUS_MAX - self.length..]
    }
}

/// Verifies a PKCS#1 v1.5 signature (RFC 8017, section 8.2.2) of what has this hash.
pub(super) fn pkcs1_holds<D: Hash>(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
    pkcs1(key, hash, signature, D::DIGEST_INFO)
}

fn pkcs1(key: &[u8], hash: &[u8], signature: &[u8], digest_info: &[u8]) -> Option<()> {
    let mut signed = open(key, signature)?;
    let padding = signed.bytes().strip_suffix(hash)?.strip_suffix(digest_info)?;
    let ones = padding.strip_prefix(&[0, 1])?.strip_suffix(&[0])?;
    ones.iter().all(|byte| *byte == 0xff).then_some(())
}

/// Verifies a PSS signature (RFC 8017, section 9.1.2) of what has this hash.
pub(super) fn pss_holds<D: Hash>(key: &[u8], hashed: &[u8], signature: &[u8]) -> Option<()> {
    pss(key, hashed, signature, hash::<D>)
}

fn pss(
    key: &[u8],
    hash: &[u8],
    signature: &[u8],
    digest: fn(&[u8]) -> heapless::Vec<u8, HASH_MAX>,
) -> Option<()> {
    let mut signed = open(key, signature)?;
    // It has one bit less than the modulus: so many of them are in its first byte, or there is a byte less.
    let bits = (signed.bits - 1) % 8;
    let mut encoded = signed.bytes();
    if bits == 0 {
        let first;
        (first, encoded) = encoded.split_first_mut()?;
        if *first != 0 {
            return None;
        }
    }
    let mask = if bits == 0 { u8::MAX } else { (1 << bits) - 1 };
    let (last, encoded) = encoded.split_last_mut()?;
    let (block, seed) = encoded.split_at_mut_checked(encoded.len().checked_sub(hash.len())?)?;
    if *last != 0xbc || block.first()? & !mask != 0 {
        return None;
    }
    // The seed and a counter, or eight zeros with the hash and the salt.
    let mut input = [0; 8 + 2 * HASH_MAX];
    for (counter, bytes) in (0_u32..).zip(block.chunks_mut(hash.len())) {
        let input = &mut input[..seed.len() + 4];
        input[..seed.len()].copy_from_slice(seed);
        input[seed.len()..].copy_from_slice(&counter.to_be_bytes());
        bytes.iter_mut().zip(digest(input)).for_each(|(byte, mask)| *byte ^= mask);
    }
    *block.first_mut()? &= mask;
    let (padding, salt) = block.split_at_checked(block.len().checked_sub(hash.len())?)?;
    let [zeros @ .., 1] = padding else { return None };
    let input = &mut input[..8 + 2 * hash.len()];
    input[..8].fill(0);
    input[8..8 + hash.len()].copy_from_slice(hash);
    input[8 + hash.len()..].copy_from_slice(salt);
    (zeros.iter().all(|byte| *byte == 0) && digest(input) == *seed).then_some(())
}

/// Undoes a signature, if key and signature may be: to the power of the exponent, in the ring of the modulus.
///
/// In 4,096 bits whatever the key has: a second width would be faster for shorter keys, and larger.
fn open(key: &[u8], signature: &[u8]) -> Option<Signed> {
    let (modulus, exponent) = der::two_integers(key)?;
    let mut digits = [0; 8];
    digits[8_usize.checked_sub(exponent.len())?..].copy_from_slice(exponent);
    let exponent = u64::from_be_bytes(digits);
    let length = modulus.len();
    if exponent % 2 == 0 || !EXPONENTS.contains(&exponent) || signature.len() != length {
        return None;
    }
    let base = number(signature)?;
    let modulus = number(modulus)?;
    let bits = modulus.bit_width_vartime();
    if !MODULUS_BITS.contains(&bits) || base.cmp_vartime(&modulus).is_ge() {
        return None;
    }
    let modulus = Option::<Odd<U4096>>::from(Odd::new(modulus))?;
    let power = raise(&base, exponent, modulus.as_nz_ref());
    let mut bytes = [0; MODULUS_MAX];
    bytes.copy_from_slice(power.to_be_bytes().as_ref());
    Some(Signed { bytes, length, bits })
}

/// By division: Montgomery's form is a quarter faster, and takes 4.6 KB more of flash and 5 KB more of stack.
#[inline(never)]
fn raise(base: &U4096, exponent: u64, modulus: &NonZero<U4096>) -> U4096 {
    let mut power = *base;
    for bit in (0..exponent.ilog2()).rev() {
        power = power.square_mod_vartime(modulus);
        if exponent >> bit & 1 == 1 {
            power = power.mul_mod_vartime(base, modulus);
        }
    }
    power
}

/// The number of these digits, if they are not too many.
fn number(digits: &[u8]) -> Option<U4096> {
    let mut bytes = [0; MODULUS_MAX];
    bytes[MODULUS_MAX.checked_sub(digits.len())?..].copy_from_slice(digits);
    Some(U4096::from_be_slice(&bytes))
}

#[cfg(test)]
#[path = "rsa_tests.rs"]
mod tests;
