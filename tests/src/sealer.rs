//! Encrypts records of any type and content for a TLS connection that rustls set up.
//!
//! rustls does the handshake and gives out its keys; records that it would never send are encrypted here.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Key, Nonce};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion, ServerConnection};

const APPLICATION_DATA: u8 = 23;

/// Encrypts under `TLS_AES_128_GCM_SHA256` or its kin of TLS 1.2.
pub(crate) struct Sealer {
    cipher: Aes128Gcm,
    iv: [u8; 12],
    sequence: u64,
    version: ProtocolVersion,
}

impl Sealer {
    /// Takes over from a server that was made by
    /// [`Authority::sealing_server`](crate::Authority::sealing_server).
    pub(crate) fn new(connection: ServerConnection) -> Self {
        let version = connection.protocol_version().unwrap();
        let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            panic!("only AES-128-GCM was offered");
        };
        let cipher = Aes128Gcm::new(Key::<Aes128Gcm>::from_slice(key.as_ref()));
        Self { cipher, iv: iv.as_ref().try_into().unwrap(), sequence, version }
    }

    /// The next record on the wire.
    pub(crate) fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        self.sequence += 1;
        if self.version == ProtocolVersion::TLSv1_3 {
            self.record_of_13(kind, content, sequence)
        } else {
            self.record_of_12(kind, content, sequence)
        }
    }

    /// RFC 8446, section 5.2.
    fn record_of_13(&self, kind: u8, content: &[u8], sequence: [u8; 8]) -> Vec<u8> {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(sequence).for_each(|(byte, count)| *byte ^= count);
        let plain = [content, &[kind]].concat();
        let header = header(APPLICATION_DATA, plain.len() + 16);
        let sealed = self.encrypt(&nonce, &plain, &header);
        [header.to_vec(), sealed].concat()
    }

    /// RFC 5288, section 3.
    fn record_of_12(&self, kind: u8, content: &[u8], sequence: [u8; 8]) -> Vec<u8> {
        let nonce = [&self.iv[..4], &sequence].concat();
        let associated = [&sequence[..], &header(kind, content.len())].concat();
        let sealed = self.encrypt(&nonce, content, &associated);
        [header(kind, 8 + sealed.len()).to_vec(), sequence.to_vec(), sealed].concat()
    }

    fn encrypt(&self, nonce: &[u8], plain: &[u8], associated: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: plain, aad: associated };
        self.cipher.encrypt(Nonce::from_slice(nonce), payload).unwrap()
    }
}

fn header(kind: u8, length: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    [kind, 3, 3, high, low]
}
