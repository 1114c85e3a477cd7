//! What the keys of a connection are, and how records are sealed with them.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::messages::vector;

/// The keys of one direction (RFC 8446, section 7.3).
pub(super) struct Keys {
    secret: [u8; 32],
    cipher: Aes128Gcm,
    iv: [u8; 12],
    sequence: u64,
}

impl Keys {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let key: [u8; 16] = expand(secret, "key", &[]);
        let iv = expand(secret, "iv", &[]);
        Self { secret: *secret, cipher: Aes128Gcm::new(&key.into()), iv, sequence: 0 }
    }

    /// The keys after these (RFC 8446, section 7.2).
    pub(super) fn next(&self) -> Self {
        Self::new(&expand(&self.secret, "traffic upd", &[]))
    }

    pub(super) fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        self.sequence += 1;
        nonce
    }

    pub(super) fn seal(&mut self, content: &[u8], kind: u8) -> Vec<u8> {
        self.seal_raw(&[content, &[kind]].concat())
    }

    /// Without a content type of its own.
    pub(super) fn seal_raw(&mut self, plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let length = u16::try_from(plain.len() + 16).unwrap().to_be_bytes();
        let header = [23, 3, 3, length[0], length[1]];
        let payload = Payload { msg: plain, aad: &header };
        let sealed = self.cipher.encrypt(Nonce::from_slice(&nonce), payload).unwrap();
        [&header[..], &sealed].concat()
    }

    pub(super) fn open(&mut self, header: &[u8], sealed: &[u8]) -> Option<(u8, Vec<u8>)> {
        let nonce = self.nonce();
        let payload = Payload { msg: sealed, aad: header };
        let mut plain = self.cipher.decrypt(Nonce::from_slice(&nonce), payload).ok()?;
        while plain.last() == Some(&0) {
            plain.pop();
        }
        plain.pop().map(|kind| (kind, plain))
    }

    pub(super) fn finished(&self, transcript: &[u8]) -> [u8; 32] {
        let key: [u8; 32] = expand(&self.secret, "finished", &[]);
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).unwrap();
        mac.update(&Sha256::digest(transcript));
        mac.finalize().into_bytes().into()
    }
}

/// A stage of the key schedule (RFC 8446, section 7.1).
pub(super) struct Schedule([u8; 32]);

impl Schedule {
    pub(super) fn handshake(shared: &[u8]) -> Self {
        let early = extract(&[0; 32], &[0; 32]);
        Self(extract(&derive(&early, "derived", &[]), shared))
    }

    pub(super) fn master(&self) -> Self {
        Self(extract(&derive(&self.0, "derived", &[]), &[0; 32]))
    }

    pub(super) fn traffic(&self, label: &str, transcript: &[u8]) -> [u8; 32] {
        derive(&self.0, label, transcript)
    }
}

pub(super) fn extract(salt: &[u8], ikm: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), ikm).0.into()
}

pub(super) fn derive(secret: &[u8; 32], label: &str, transcript: &[u8]) -> [u8; 32] {
    expand(secret, label, &Sha256::digest(transcript))
}

pub(super) fn expand<const N: usize>(secret: &[u8; 32], label: &str, context: &[u8]) -> [u8; N] {
    let label = format!("tls13 {label}");
    let length = u16::try_from(N).unwrap().to_be_bytes();
    let info = [&length[..], &vector(1, label.as_bytes()), &vector(1, context)].concat();
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).unwrap().expand(&info, &mut out).unwrap();
    out
}
