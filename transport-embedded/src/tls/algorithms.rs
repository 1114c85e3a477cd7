//! Signature verification: the supported algorithms, the bound on the checks of a handshake, and the
//! names of the algorithms that are missing.

use core::sync::atomic::{AtomicU8, Ordering};

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256};

use super::der::{self, contents};
use super::failure::{Algorithm, CertificateFault, TlsFailure};

/// The signature checks of one handshake, counted: each costs a slow core a good part of a second,
/// and the server chooses how many it takes to refuse its chain.
///
/// The counter is an atomic because webpki asks that algorithms can be shared. It is only loaded and
/// stored, as some cores have nothing more: one task does the handshake.
#[derive(Debug)]
pub(super) struct Checks {
    /// One more than there are left; 0 when one was refused.
    left: AtomicU8,
}

impl Checks {
    /// At most `max` checks, fewer than 255.
    pub(super) const fn new(max: u8) -> Self {
        Self { left: AtomicU8::new(max.saturating_add(1)) }
    }

    /// Takes one check, if one is left.
    fn take(&self) -> Result<(), InvalidSignature> {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(1);
        self.left.store(left, Ordering::Relaxed);
        if left == 0 { Err(InvalidSignature) } else { Ok(()) }
    }

    /// Was a check refused? Then a failure tells nothing about the signatures.
    pub(super) fn is_exceeded(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Calls `with` what certificates may be signed with, counted here.
    pub(super) fn supported<T>(
        &self,
        with: impl FnOnce(&[&dyn SignatureVerificationAlgorithm]) -> T,
    ) -> T {
        with(&[
            &P256Sha256(self),
            #[cfg(feature = "p384")]
            &P256Sha384(self),
            #[cfg(feature = "p384")]
            &P384Sha384(self),
            #[cfg(feature = "p384")]
            &P384Sha256(self),
        ])
    }
}

macro_rules! ecdsa {
    ($name:ident, $curve:ident, $hash:ident, $key:expr, $signature:expr) => {
        #[derive(Debug)]
        struct $name<'c>(&'c Checks);

        impl SignatureVerificationAlgorithm for $name<'_> {
            fn verify_signature(
                &self,
                public_key: &[u8],
                message: &[u8],
                signature: &[u8],
            ) -> Result<(), InvalidSignature> {
                self.0.take()?;
                let invalid = |_| InvalidSignature;
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
                let signature = $curve::ecdsa::Signature::from_der(signature).map_err(invalid)?;
                let hash = $hash::digest(message);
                key.map_err(invalid)?.verify_prehash(&hash, &signature).map_err(invalid)
            }

            fn public_key_alg_id(&self) -> AlgorithmIdentifier {
                $key
            }

            fn signature_alg_id(&self) -> AlgorithmIdentifier {
                $signature
            }
        }
    };
}

ecdsa!(P256Sha256, p256, Sha256, alg_id::ECDSA_P256, alg_id::ECDSA_SHA256);
#[cfg(feature = "p384")]
use sha2::Sha384;
#[cfg(feature = "p384")]
ecdsa!(P256Sha384, p256, Sha384, alg_id::ECDSA_P256, alg_id::ECDSA_SHA384);
#[cfg(feature = "p384")]
ecdsa!(P384Sha384, p384, Sha384, alg_id::ECDSA_P384, alg_id::ECDSA_SHA384);
#[cfg(feature = "p384")]
ecdsa!(P384Sha256, p384, Sha256, alg_id::ECDSA_P384, alg_id::ECDSA_SHA256);

// RFC 8446, section 4.2.3.
const ECDSA_P256_SHA256: u16 = 0x0403;
#[cfg(feature = "p384")]
const ECDSA_P384_SHA384: u16 = 0x0503;

/// What a server may prove its key with.
#[cfg(feature = "rustls")]
pub(super) const SCHEMES: &[u16] = &[
    ECDSA_P256_SHA256,
    #[cfg(feature = "p384")]
    ECDSA_P384_SHA384,
];

/// The longest public key: an uncompressed point on P-384.
const POINT_MAX: usize = 97;

/// A server's public key, kept from its certificate until it proves that it holds the private one.
#[derive(Debug)]
pub(super) struct ServerKey {
    /// The TLS signature scheme that goes with the key (RFC 8446, section 4.2.3).
    scheme: u16,
    point: heapless::Vec<u8, POINT_MAX>,
}

impl ServerKey {
    /// Takes the key from the contents of a `SubjectPublicKeyInfo`.
    pub(super) fn new(spki: &[u8]) -> Result<Self, Algorithm> {
        let (identifier, point) = der::algorithm_and_bits(spki).ok_or(Algorithm::Other)?;
        let is = |id: AlgorithmIdentifier| identifier == AsRef::<[u8]>::as_ref(&id);
        let scheme = match () {
            () if is(alg_id::ECDSA_P256) => ECDSA_P256_SHA256,
            #[cfg(feature = "p384")]
            () if is(alg_id::ECDSA_P384) => ECDSA_P384_SHA384,
            () => return Err(name(identifier)),
        };
        let point = heapless::Vec::from_slice(point).map_err(|_| Algorithm::Other)?;
        Ok(Self { scheme, point })
    }

    /// Checks the server's proof that it holds this key: a signature by `scheme`, if one of the `checks`
    /// is left.
    pub(super) fn prove(
        &self,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
        checks: &Checks,
    ) -> Result<(), TlsFailure> {
        if self.scheme != scheme {
            return Err(TlsFailure::UnsupportedAlgorithm(self::scheme(scheme)));
        }
        self.verify(message, signature, checks).map_err(|InvalidSignature| {
            if checks.is_exceeded() {
                TlsFailure::Certificate(CertificateFault::TooComplex)
            } else {
                TlsFailure::BadSignature
            }
        })
    }

    fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        checks: &Checks,
    ) -> Result<(), InvalidSignature> {
        #[cfg(feature = "p384")]
        if self.scheme == ECDSA_P384_SHA384 {
            return P384Sha384(checks).verify_signature(&self.point, message, signature);
        }
        P256Sha256(checks).verify_signature(&self.point, message, signature)
    }
}

/// The name of a TLS signature scheme (RFC 8446, section 4.2.3).
pub(super) const fn scheme(code: u16) -> Algorithm {
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
    let Some((oid, parameters)) = contents(identifier) else { return Algorithm::Other };
    match oid {
        // 1.2.840.113549.1.1
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => Algorithm::RsaPss,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, _] => Algorithm::Rsa,
        // 1.2.840.10045.4.3
        #[cfg(not(feature = "p384"))]
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => Algorithm::EcdsaSha384,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => Algorithm::EcdsaSha512,
        // 1.2.840.10045.2.1, with the curve as its parameter
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => match contents(parameters) {
            #[cfg(not(feature = "p384"))]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_checks_are_made_than_allowed_whoever_asks() {
        let checks = Checks::new(3);
        let point = heapless::Vec::from_slice(&[4; 65]).unwrap();
        let key = ServerKey { scheme: ECDSA_P256_SHA256, point };
        // Wrong ones count, a chain's as well as the server's proof.
        checks.supported(|algorithms| {
            for _ in 0..2 {
                assert!(algorithms[0].verify_signature(&[4; 65], b"", b"").is_err());
            }
        });
        assert!(key.verify(b"", b"", &checks).is_err());
        assert!(!checks.is_exceeded());
        for _ in 0..300 {
            assert!(key.verify(b"", b"", &checks).is_err());
            assert!(checks.is_exceeded());
        }
    }

    #[test]
    fn the_last_check_that_is_allowed_is_made() {
        let checks = Checks::new(2);
        assert_eq!([(); 4].map(|()| checks.take().is_ok()), [true, true, false, false]);
    }
}
