//! `TLS_AES_128_GCM_SHA256`, with a look at each record between decryption and embedded-tls.
//!
//! Handshake messages inside encrypted records are invisible to
//! [`Scanner`](super::scan::Scanner), and embedded-tls 0.19 panics (`unimplemented!`) on most of
//! those that come after the handshake (only an authenticated server can send them). The cipher is the
//! only code of ours that sees them.

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{self, AeadCore, AeadInPlace, Key, KeyInit, KeySizeUser, Nonce, Tag};
use embedded_tls::{Aes128GcmSha256, TlsCipherSuite, TlsError};

use super::scan::{
    APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, VERSION_DATA, VERSION_HANDSHAKE,
};
use super::transcript::{self, Transcript};

const NEW_SESSION_TICKET: u8 = 4;
const FINISHED: u8 = 20;

/// What embedded-tls returns when it reads [`POST_HANDSHAKE`].
pub(super) const fn is_post_handshake(error: TlsError) -> bool {
    matches!(error, TlsError::Unimplemented)
}

/// What embedded-tls returns when it reads [`SPLIT`].
pub(super) const fn is_split(error: TlsError) -> bool {
    matches!(error, TlsError::InvalidNonceLength)
}

/// Stands for a message that embedded-tls cannot take after the handshake: an encrypted
/// `ChangeCipherSpec`, which nothing may send.
const POST_HANDSHAKE: [u8; 1] = [CHANGE_CIPHER_SPEC];
/// Stands for tickets, which are of no use here: application data without any.
const NOTHING: [u8; 1] = [APPLICATION_DATA];
/// Stands for a message that goes on in the next record: a ticket whose nonce is too long, which
/// gives an error that nothing else gives during a handshake.
const SPLIT: [u8; 14] = [NEW_SESSION_TICKET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, HANDSHAKE];

/// [`Aes128GcmSha256`] with [`Cipher`].
pub(crate) struct Suite;

impl TlsCipherSuite for Suite {
    const CODE_POINT: u16 = Aes128GcmSha256::CODE_POINT;
    type Cipher = Cipher;
    type KeyLen = <Aes128GcmSha256 as TlsCipherSuite>::KeyLen;
    type IvLen = <Aes128GcmSha256 as TlsCipherSuite>::IvLen;
    type Hash = Transcript;
    type LabelBufferSize = <Aes128GcmSha256 as TlsCipherSuite>::LabelBufferSize;
}

/// AES-128-GCM that replaces what embedded-tls must not see.
pub(crate) struct Cipher(Aes128Gcm);

impl KeySizeUser for Cipher {
    type KeySize = <Aes128Gcm as KeySizeUser>::KeySize;
}

impl KeyInit for Cipher {
    fn new(key: &Key<Self>) -> Self {
        Self(Aes128Gcm::new(key))
    }
}

impl AeadCore for Cipher {
    type NonceSize = <Aes128Gcm as AeadCore>::NonceSize;
    type TagSize = <Aes128Gcm as AeadCore>::TagSize;
    type CiphertextOverhead = <Aes128Gcm as AeadCore>::CiphertextOverhead;
}

impl AeadInPlace for Cipher {
    fn encrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> aead::Result<Tag<Self>> {
        self.0.encrypt_in_place_detached(nonce, associated_data, buffer)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
        tag: &Tag<Self>,
    ) -> aead::Result<()> {
        let mut header: [u8; 5] = header.try_into().map_err(|_| aead::Error)?;
        let handshaking = header[2] != VERSION_DATA;
        header[2] = VERSION_HANDSHAKE;
        self.0.decrypt_in_place_detached(nonce, &header, buffer, tag)?;
        inspect(buffer, handshaking)
    }
}

/// Replaces a decrypted record (content, type, padding) that embedded-tls must not see.
fn inspect(record: &mut [u8], handshaking: bool) -> aead::Result<()> {
    let Some(end) = record.iter().rposition(|byte| *byte != 0) else { return Err(aead::Error) };
    if record[end] != HANDSHAKE {
        return Ok(());
    }
    let (whole, tickets) = walk(&mut record[..end])?;
    let replacement: &[u8] = match (handshaking, whole) {
        (true, true) => return Ok(()),
        (true, false) => &SPLIT,
        (false, true) if tickets => &NOTHING,
        (false, _) => &POST_HANDSHAKE,
    };
    record.fill(0);
    record.get_mut(..replacement.len()).ok_or(aead::Error)?.copy_from_slice(replacement);
    Ok(())
}

/// Whether these are whole handshake messages, and all of them tickets. Hides what embedded-tls fails on. Behind a
/// `Finished` other keys begin, so a record ends with it (RFC 8446, section 5.1); embedded-tls would take what follows for
/// a part of the handshake.
fn walk(mut messages: &mut [u8]) -> aead::Result<(bool, bool)> {
    let mut tickets = true;
    let any = !messages.is_empty();
    while let Some(&[kind, a, b, c]) = messages.first_chunk() {
        let length = u32::from_be_bytes([0, a, b, c]);
        let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(4);
        let Some((message, next)) = messages.split_at_mut_checked(length) else {
            return Ok((false, false));
        };
        if kind == FINISHED && !next.is_empty() {
            return Err(aead::Error);
        }
        transcript::hide(message);
        tickets &= kind == NEW_SESSION_TICKET;
        messages = next;
    }
    Ok((any && messages.is_empty(), tickets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected<const N: usize>(mut record: [u8; N], handshaking: bool) -> aead::Result<[u8; N]> {
        inspect(&mut record, handshaking).map(|()| record)
    }

    #[test]
    fn a_record_of_padding_only_is_refused() {
        assert!(inspected([0; 4], true).is_err());
        assert!(inspected([0; 0], false).is_err());
    }

    #[test]
    fn tickets_vanish_after_the_handshake_and_all_else_becomes_an_error() {
        assert_eq!(inspected([4, 0, 0, 1, 9, 22, 0], false), Ok([23, 0, 0, 0, 0, 0, 0]));
        for kind in [2, 8, 11, 13, 15, 20, 24] {
            assert_eq!(inspected([kind, 0, 0, 1, 9, 22, 0], false), Ok([20, 0, 0, 0, 0, 0, 0]));
        }
        // A ticket that hides another message behind a wrong length.
        assert_eq!(inspected([4, 0, 0, 0, 20, 0, 0, 0, 22], false).map(|r| r[0]), Ok(20));
    }

    #[test]
    fn whole_handshake_messages_pass_untouched() {
        let record = [8, 0, 0, 2, 0, 0, 22, 0];
        assert_eq!(inspected(record, true), Ok(record));
    }

    #[test]
    fn a_record_ends_with_finished() {
        let record = [8, 0, 0, 0, 20, 0, 0, 1, 9, 22, 0];
        assert_eq!(inspected(record, true), Ok(record));
        assert!(inspected([20, 0, 0, 1, 9, 8, 0, 0, 0, 22], true).is_err());
        assert!(inspected([20, 0, 0, 1, 9, 11, 22], true).is_err());
    }

    #[test]
    fn a_split_handshake_message_is_marked() {
        let mut record = [7; 20];
        record[..4].copy_from_slice(&[11, 0, 1, 0]);
        record[19] = 22;
        let marked = inspected(record, true).unwrap();
        assert_eq!(marked[..14], SPLIT);
        assert_eq!(marked[14..], [0; 6]);
        assert!(inspected([11, 0, 22], true).is_err());
    }
}
