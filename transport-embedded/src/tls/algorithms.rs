//! The kinds of signatures that can be verified, and the names of those that cannot.

use embassy_futures::block_on;
use heapless::Vec;
use pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::Sha256;
#[cfg(any(feature = "p384", feature = "rsa"))]
use sha2::Sha384;
#[cfg(feature = "rsa")]
use sha2::Sha512;

use super::der::{self, contents};
use super::failure::Algorithm;
#[cfg(feature = "p384")]
use super::p384;
#[cfg(feature = "rsa")]
use super::rsa;

/// The length of the longest hash that is built in.
pub(super) const HASH_MAX: usize = match () {
    () if cfg!(feature = "rsa") => 64,
    () if cfg!(feature = "p384") => 48,
    () => 32,
};
/// The length of the longest point on a curve that is built in, uncompressed.
const POINT_MAX: usize = if cfg!(feature = "p384") { 97 } else { 65 };
/// The length of the longest key that is built in.
#[cfg(not(feature = "rsa"))]
const KEY_MAX: usize = POINT_MAX;
#[cfg(feature = "rsa")]
const KEY_MAX: usize = rsa::KEY_MAX;
/// The most bytes that an ECDSA signature takes with its key and hash.
pub(super) const ECDSA_MAX: usize = match () {
    () if cfg!(feature = "p384") => POINT_MAX + 48 + 104,
    () => POINT_MAX + 32 + 72,
};
/// The most bytes that an RSA signature takes with its key and hash.
#[cfg(feature = "rsa")]
pub(super) const RSA_MAX: usize = KEY_MAX + HASH_MAX + rsa::SIGNATURE_MAX;
#[cfg(not(feature = "rsa"))]
pub(super) const RSA_MAX: usize = 0;

pub(super) type Hash = Vec<u8, HASH_MAX>;

/// Is this (the third) the key's signature of what has this hash? Key and signature are as in a certificate.
type AtOnce = fn(&[u8], &[u8], &[u8]) -> Option<()>;

/// How a signature is checked.
#[derive(Clone, Copy, Debug)]
enum Holds {
    /// Without time for other tasks.
    AtOnce(AtOnce),
    /// By [`p384::holds`], in pieces.
    #[cfg(feature = "p384")]
    P384,
}

/// A kind of signature.
#[derive(Debug)]
pub(crate) struct Scheme {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    /// How a server calls it that proves with it that it holds its key (RFC 8446, section 4.2.3); 0 if
    /// that may not be.
    code: u16,
    hash: fn(&[u8]) -> Hash,
    holds: Holds,
}

/// All that are built in.
pub(crate) static SCHEMES: [Scheme; SCHEMES_COUNT] = [
    Scheme {
        key: alg_id::ECDSA_P256,
        signature: alg_id::ECDSA_SHA256,
        code: 0x0403,
        hash: hash::<Sha256>,
        holds: Holds::AtOnce(p256_holds),
    },
    #[cfg(feature = "p384")]
    Scheme {
        key: alg_id::ECDSA_P384,
        signature: alg_id::ECDSA_SHA384,
        code: 0x0503,
        hash: hash::<Sha384>,
        holds: Holds::P384,
    },
    #[cfg(feature = "p384")]
    Scheme {
        key: alg_id::ECDSA_P256,
        signature: alg_id::ECDSA_SHA384,
        code: 0,
        hash: hash::<Sha384>,
        holds: Holds::AtOnce(p256_holds),
    },
    #[cfg(feature = "p384")]
    Scheme {
        key: alg_id::ECDSA_P384,
        signature: alg_id::ECDSA_SHA256,
        code: 0,
        hash: hash::<Sha256>,
        holds: Holds::P384,
    },
    #[cfg(feature = "rsa")]
    pkcs1::<Sha256>(alg_id::RSA_PKCS1_SHA256),
    #[cfg(feature = "rsa")]
    pkcs1::<Sha384>(alg_id::RSA_PKCS1_SHA384),
    #[cfg(feature = "rsa")]
    pkcs1::<Sha512>(alg_id::RSA_PKCS1_SHA512),
    #[cfg(feature = "rsa")]
    pss::<Sha256>(alg_id::RSA_PSS_SHA256, 0x0804),
    #[cfg(feature = "rsa")]
    pss::<Sha384>(alg_id::RSA_PSS_SHA384, 0x0805),
    #[cfg(feature = "rsa")]
    pss::<Sha512>(alg_id::RSA_PSS_SHA512, 0x0806),
];

pub(super) const SCHEMES_COUNT: usize =
    1 + 3 * cfg!(feature = "p384") as usize + 6 * cfg!(feature = "rsa") as usize;

/// For certificates only (RFC 8446, section 4.2.3).
#[cfg(feature = "rsa")]
const fn pkcs1<D: rsa::Hash>(signature: AlgorithmIdentifier) -> Scheme {
    let holds = Holds::AtOnce(rsa::pkcs1_holds::<D>);
    Scheme { key: alg_id::RSA_ENCRYPTION, signature, code: 0, hash: hash::<D>, holds }
}

#[cfg(feature = "rsa")]
const fn pss<D: rsa::Hash>(signature: AlgorithmIdentifier, code: u16) -> Scheme {
    let holds = Holds::AtOnce(rsa::pss_holds::<D>);
    Scheme { key: alg_id::RSA_ENCRYPTION, signature, code, hash: hash::<D>, holds }
}

pub(super) fn hash<D: sha2::Digest>(message: &[u8]) -> Hash {
    Hash::from_slice(&D::digest(message)).unwrap_or_default()
}

fn p256_holds(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
    use p256::ecdsa::{Signature, VerifyingKey};
    let scalar = |digits: &[u8]| {
        let mut bytes = p256::FieldBytes::default();
        let at = bytes.len().checked_sub(digits.len())?;
        bytes[at..].copy_from_slice(digits);
        Some(bytes)
    };
    let (r, s) = der::two_integers(signature)?;
    let signature = Signature::from_scalars(scalar(r)?, scalar(s)?).ok()?;
    VerifyingKey::from_sec1_bytes(key).ok()?.verify_prehash(hash, &signature).ok()
}

impl Scheme {
    /// What it is called in TLS: by a server that proves with it that it holds its key, or else in
    /// certificates, for RSA with PKCS#1 v1.5. ECDSA with the hash of another curve has no name.
    #[cfg(feature = "rustls")]
    pub(super) fn in_hello(&self) -> Option<u16> {
        match self.signature {
            _ if self.code != 0 => Some(self.code),
            alg_id::RSA_PKCS1_SHA256 => Some(0x0401),
            alg_id::RSA_PKCS1_SHA384 => Some(0x0501),
            alg_id::RSA_PKCS1_SHA512 => Some(0x0601),
            _ => None,
        }
    }

    pub(super) fn hash(&self, message: &[u8]) -> Hash {
        (self.hash)(message)
    }

    /// Is this the key's signature of what has this hash? Other tasks run within a check that takes long.
    pub(super) async fn holds(&self, key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
        let holds = match self.holds {
            Holds::AtOnce(holds) => holds(key, hash, signature),
            #[cfg(feature = "p384")]
            Holds::P384 => p384::holds(key, hash, signature).await,
        };
        holds.is_some()
    }
}

impl SignatureVerificationAlgorithm for Scheme {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let hash = self.hash(message);
        let holds = block_on(self.holds(public_key, &hash, signature));
        if holds { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// A server's public key, kept from its certificate until it proves that it holds the private one.
#[derive(Debug)]
pub(super) struct ServerKey {
    algorithm: AlgorithmIdentifier,
    bytes: Vec<u8, KEY_MAX>,
}

impl ServerKey {
    /// Takes the key from the contents of a `SubjectPublicKeyInfo`.
    pub(super) fn new(spki: &[u8]) -> Result<Self, Algorithm> {
        let (identifier, bytes) = der::algorithm_and_bits(spki).ok_or(Algorithm::Other)?;
        let known = SCHEMES.iter().find(|scheme| scheme.key.as_ref() == identifier);
        let algorithm = known.ok_or_else(|| name(identifier))?.key;
        let bytes = Vec::from_slice(bytes).map_err(|_| Algorithm::Other)?;
        Ok(Self { algorithm, bytes })
    }

    /// The key, as it is in the certificate.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The scheme that TLS gives this `code`, if it is one for this key.
    pub(super) fn scheme(&self, code: u16) -> Result<&'static Scheme, Algorithm> {
        let fits = |scheme: &&Scheme| scheme.code == code && scheme.key == self.algorithm;
        SCHEMES.iter().filter(|_| code != 0).find(fits).ok_or_else(|| named(code))
    }
}

/// The name of a TLS signature scheme (RFC 8446, section 4.2.3).
const fn named(code: u16) -> Algorithm {
    match code {
        0x0201 | 0x0401 | 0x0501 | 0x0601 => Algorithm::Rsa,
        0x0804..=0x0806 | 0x0809..=0x080b => Algorithm::RsaPss,
        0x0503 => Algorithm::EcdsaP384,
        0x0603 => Algorithm::EcdsaP521,
        0x0807 => Algorithm::Ed25519,
        0x0808 => Algorithm::Ed448,
        0x0904..=0x0906 => Algorithm::MlDsa,
        _ => Algorithm::Other,
    }
}

/// Why a chain cannot be verified: the first signature in it, or else the first key, that is of a
/// known kind and not supported.
pub(super) fn unsupported<'a>(chain: impl Iterator<Item = &'a [u8]> + Clone) -> Algorithm {
    let signatures = chain.clone().filter_map(der::signature_algorithm);
    let mut kinds = signatures.chain(chain.filter_map(der::key_algorithm)).map(name);
    kinds.find(|kind| *kind != Algorithm::Other).unwrap_or(Algorithm::Other)
}

/// Names the contents of an `AlgorithmIdentifier` of a key or a signature. What is supported is not
/// named.
fn name(identifier: &[u8]) -> Algorithm {
    let is_supported = |s: &Scheme| [s.key, s.signature].iter().any(|id| id.as_ref() == identifier);
    if SCHEMES.iter().any(is_supported) {
        return Algorithm::Other;
    }
    let Some((oid, parameters)) = contents(identifier) else { return Algorithm::Other };
    match oid {
        // 1.2.840.113549.1.1
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => Algorithm::RsaPss,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, _] => Algorithm::Rsa,
        // 1.2.840.10045.4.3
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => Algorithm::EcdsaSha384,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => Algorithm::EcdsaSha512,
        // 1.2.840.10045.2.1, with the curve as its parameter
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => match contents(parameters) {
            Some(([0x2b, 0x81, 4, 0, 34], _)) => Algorithm::EcdsaP384,
            Some(([0x2b, 0x81, 4, 0, 35], _)) => Algorithm::EcdsaP521,
            _ => Algorithm::Other,
        },
        [0x2b, 0x65, 112] => Algorithm::Ed25519,
        [0x2b, 0x65, 113] => Algorithm::Ed448,
        // 2.16.840.1.101.3.4.3
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17..=19] => Algorithm::MlDsa,
        _ => Algorithm::Other,
    }
}
