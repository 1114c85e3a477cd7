//! The node's own certificate, for servers that ask for one.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey as Key};
use pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// A client's certificate and its key on P-256. It costs flash only where it is used.
pub struct ClientIdentity(CertifiedKey);

impl ClientIdentity {
    /// `chain` holds the certificates in DER, the node's own first. `secret` is the private key: the 32 bytes
    /// that `openssl ec -in key.pem -outform DER | tail -c +8 | head -c 32` prints.
    ///
    /// `None` if `secret` is no private key of P-256. That it belongs to the certificate is not checked;
    /// servers do that.
    #[must_use]
    pub fn new(chain: &'static [&'static [u8]], secret: &[u8; 32]) -> Option<Self> {
        let key = Key::from_slice(secret).ok()?;
        let chain = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        Some(Self(CertifiedKey::new(chain, Arc::new(P256(Arc::new(key))))))
    }

    pub(super) fn into_resolver(self) -> Arc<SingleCertAndKey> {
        Arc::new(self.0.into())
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// Signs with ECDSA on P-256 and SHA-256; the nonce is that of RFC 6979.
struct P256(Arc<Key>);

impl SigningKey for P256 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let fits = offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        fits.then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P256 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: DerSignature =
            self.0.try_sign(message).map_err(|_| Error::General("no signature".into()))?;
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

impl fmt::Debug for P256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256")
    }
}
