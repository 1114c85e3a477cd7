//! Key exchange for rustls: X25519 and P-256.

use alloc::boxed::Box;

use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rustls::crypto::{ActiveKeyExchange, SecureRandom as _, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::entropy::ENTROPY;

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
/// How often a scalar of P-256 is drawn. One in 2³² is invalid.
const TRIES: usize = 8;

/// X25519 (RFC 7748).
#[derive(Debug)]
pub(super) struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        ENTROPY.fill(&mut secret)?;
        let public = x25519(secret, X25519_BASEPOINT_BYTES);
        Ok(Box::new(StartedX25519 { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct StartedX25519 {
    secret: [u8; 32],
    public: [u8; 32],
}

impl ActiveKeyExchange for StartedX25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let shared = x25519(self.secret, peer.try_into().map_err(|_| INVALID)?);
        // RFC 8446, section 7.4.2: the peer's point is of a small order.
        if shared.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(INVALID);
        }
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// ECDHE on P-256.
#[derive(Debug)]
pub(super) struct P256;

impl SupportedKxGroup for P256 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        for _ in 0..TRIES {
            let mut bytes = [0; 32];
            ENTROPY.fill(&mut bytes)?;
            if let Ok(secret) = p256::SecretKey::from_slice(&bytes) {
                let public = secret.public_key().to_encoded_point(false);
                return Ok(Box::new(StartedP256 { secret, public }));
            }
        }
        Err(Error::FailedToGetRandomBytes)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

struct StartedP256 {
    secret: p256::SecretKey,
    public: p256::EncodedPoint,
}

impl ActiveKeyExchange for StartedP256 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // RFC 8446, section 4.2.8.2: uncompressed only.
        if peer.first() != Some(&4) {
            return Err(INVALID);
        }
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| INVALID)?;
        let shared = p256::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}
