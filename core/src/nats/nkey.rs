//! The key of a user of NATS, as text: base32 of what kind of key it is, its bytes, and a checksum.
//! <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth>.

use core::fmt;

use zeroize::Zeroizing;

use crate::base64;
use crate::json::{EncodeError, Writer};
use crate::sign::ed25519::{HALF, Pair};

/// Letters of a seed.
const SEED_LETTERS: usize = 58;
/// Bytes that they stand for: two for the kind, the secret half, and the checksum.
const SEED_BYTES: usize = 2 + HALF + 2;
/// Letters of a public key.
const PUBLIC_LETTERS: usize = 56;
/// Bytes that they stand for: one for the kind, the public half, and the checksum.
const PUBLIC_BYTES: usize = 1 + HALF + 2;
/// The kind "seed", in five bits, and behind it the kind "user", in eight.
const SEED: u16 = 18;
const USER: u8 = 20 << 3;

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Why a text is no seed of a user, or no credentials of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedError {
    /// It is not 58 letters of base32 (`A` to `Z` and `2` to `7`). The operator looks at what was pasted.
    Letters,
    /// The checksum is another text's: a letter is wrong. The operator copies it once more.
    Checksum,
    /// It is a key of another kind: a public one, or that of an account or an operator, which belongs on no node.
    /// A user's seed begins with `SU`.
    Kind,
    /// There is no JWT, which is three texts of base64 with dots between them. The operator takes the file that
    /// `nsc` writes.
    Jwt,
    /// There is a JWT, and no seed with it.
    NoSeed,
}

impl fmt::Display for SeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Letters => "the seed is not 58 letters of base32",
            Self::Checksum => "the seed has a wrong letter: its checksum is another's",
            Self::Kind => "the key is not the seed of a user, which begins with SU",
            Self::Jwt => "there is no JWT, such as nsc writes to a .creds file",
            Self::NoSeed => "there is no seed beside the JWT",
        })
    }
}

impl core::error::Error for SeedError {}

/// The secret key of a user, which signs what a server asks. Never printed, and overwritten when it is dropped.
#[derive(Clone)]
pub struct Seed(Pair);

impl Seed {
    /// The seed that a text stands for, such as `nsc` and `nk -gen user` write: `SU` and 56 more letters.
    ///
    /// # Errors
    /// When it is none.
    ///
    /// ```
    /// use pilot_webhook_core::nats::{Seed, SeedError};
    /// let seed = Seed::parse("SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y")?;
    /// assert!(seed.public().as_str().starts_with('U'));
    /// assert_eq!(Seed::parse("SUAAA").err(), Some(SeedError::Letters));
    /// # Ok::<(), SeedError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let letters = text.as_bytes().try_into().map_err(|_| SeedError::Letters)?;
        let bytes = decode(letters).ok_or(SeedError::Letters)?;
        let [kind, user, secret @ .., low, high] = &*bytes;
        if checksum(bytes.split_last_chunk::<2>().map_or(&[], |(all, _)| all))
            != u16::from_le_bytes([*low, *high])
        {
            return Err(SeedError::Checksum);
        }
        if u16::from_be_bytes([*kind, *user]) != SEED << 11 | u16::from(USER) << 3 {
            return Err(SeedError::Kind);
        }
        Ok(Self(Pair::of(secret)))
    }

    /// The public key, which the server knows the user by. It is no secret.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_BYTES];
        let (all, sum) = bytes.split_at_mut(PUBLIC_BYTES - 2);
        if let [kind, half @ ..] = all {
            *kind = USER;
            half.copy_from_slice(self.0.public().as_bytes());
        }
        sum.copy_from_slice(&checksum(all).to_le_bytes());
        PublicKey(encode(&bytes))
    }

    /// Writes the signature of a server's nonce: base64 for URLs, without padding.
    pub(super) fn sign(&self, nonce: &[u8], out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let signature = self.0.sign(|each| each(nonce)).ok_or(EncodeError::TooLong)?;
        let push = |letters: &str| {
            letters.bytes().filter(|letter| *letter != b'=').try_for_each(|letter| {
                let letter = match letter {
                    b'+' => b'-',
                    b'/' => b'_',
                    letter => letter,
                };
                out.push(&[letter]).ok()
            })
        };
        base64::encode(signature.into_iter(), push).ok_or(EncodeError::TooLong)
    }
}

/// By the public key: that is no secret.
impl PartialEq for Seed {
    fn eq(&self, other: &Self) -> bool {
        self.0.public() == other.0.public()
    }
}

impl Eq for Seed {}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The public key of a user, as text: `U` and 55 more letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_LETTERS]);

impl PublicKey {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // They are letters and digits.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// CRC-16 with the polynomial 0x1021, from 0 on (XMODEM).
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum: u16, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
        })
    })
}

/// The bytes that a seed's letters stand for.
fn decode(letters: &[u8; SEED_LETTERS]) -> Option<Zeroizing<[u8; SEED_BYTES]>> {
    let mut bytes = Zeroizing::new([0; SEED_BYTES]);
    let mut places = bytes.iter_mut();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            *places.next()? = (bits >> count & 0xff) as u8;
        }
    }
    // Each seed has one spelling.
    (bits & ((1 << count) - 1) == 0).then_some(bytes)
}

/// The letters of a public key, whose bytes are a multiple of five.
fn encode(bytes: &[u8; PUBLIC_BYTES]) -> [u8; PUBLIC_LETTERS] {
    let mut letters = [0; PUBLIC_LETTERS];
    for (group, places) in bytes.chunks(5).zip(letters.chunks_mut(8)) {
        let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for (place, index) in places.iter_mut().zip((0..8).rev()) {
            *place = LETTERS[(bits >> (5 * index) & 31) as usize];
        }
    }
    letters
}
