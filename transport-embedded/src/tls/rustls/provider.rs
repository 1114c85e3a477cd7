//! The cryptography for rustls: only what a node needs.

use alloc::sync::Arc;
use alloc::vec;
use core::marker::PhantomData;

use pki_types::PrivateKeyDer;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms};
use rustls::sign::SigningKey;
use rustls::{CipherSuite, CipherSuiteCommon, Error, SupportedCipherSuite, Tls13CipherSuite};

use super::aead::Aead;
use super::entropy::ENTROPY;
use super::exchange::{P256, X25519};
use super::hash::SHA256;

/// Records under one key of AES-GCM (RFC 8446, section 5.5).
const RECORDS_MAX: u64 = 1 << 24;

static AES_128: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        hash_provider: &SHA256,
        confidentiality_limit: RECORDS_MAX,
    },
    hkdf_provider: &HkdfUsingHmac(&SHA256),
    aead_alg: &Aead::<aes_gcm::Aes128Gcm>(PhantomData),
    quic: None,
};

/// Comes with SHA-384, which P-384 brings in any case.
#[cfg(feature = "p384")]
static AES_256: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        hash_provider: &super::hash::SHA384,
        confidentiality_limit: RECORDS_MAX,
    },
    hkdf_provider: &HkdfUsingHmac(&super::hash::SHA384),
    aead_alg: &Aead::<aes_gcm::Aes256Gcm>(PhantomData),
    quic: None,
};

/// The provider. Signatures of certificates are not its business: the verifier does without.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            SupportedCipherSuite::Tls13(&AES_128),
            #[cfg(feature = "p384")]
            SupportedCipherSuite::Tls13(&AES_256),
        ],
        // The first is offered with a key; X25519 costs a quarter of P-256.
        kx_groups: vec![&X25519, &P256],
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &[], mapping: &[] },
        secure_random: &ENTROPY,
        key_provider: &NoKeys,
    }
}

/// There are no private keys to be read.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no keys".into()))
    }
}
