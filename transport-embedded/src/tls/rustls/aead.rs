//! Records encrypted with AES-GCM, for rustls, by RustCrypto's aes-gcm.

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::{AeadCore, AeadInPlace, KeyInit};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, Error};

/// The length of a tag.
const TAG: usize = 16;

/// What rustls asks of a cipher.
pub(super) trait Cipher:
    AeadCore<NonceSize = U12, TagSize = U16> + AeadInPlace + KeyInit + Send + Sync + 'static
{
}

impl<C> Cipher for C where
    C: AeadCore<NonceSize = U12, TagSize = U16> + AeadInPlace + KeyInit + Send + Sync + 'static
{
}

/// A cipher for the records of TLS 1.3.
pub(super) struct Aead<C>(pub(super) PhantomData<fn() -> C>);

impl<C: Cipher> Tls13AeadAlgorithm for Aead<C> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Keyed::<C>::new(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Keyed::<C>::new(&key, iv))
    }

    fn key_len(&self) -> usize {
        C::key_size()
    }

    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct Keyed<C> {
    /// `None` if rustls gave a key of another length than it was told.
    cipher: Option<C>,
    iv: Iv,
}

impl<C: Cipher> Keyed<C> {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        Self { cipher: C::new_from_slice(key.as_ref()).ok(), iv }
    }
}

impl<C: Cipher> MessageEncrypter for Keyed<C> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let cipher = self.cipher.as_ref().ok_or(Error::EncryptError)?;
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, seq).0.into();
        let tag = cipher
            .encrypt_in_place_detached(&nonce, &make_tls13_aad(length), payload.as_mut())
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        // RFC 8446, section 5.2: an encrypted record looks like one of TLS 1.2's application data.
        Ok(OutboundOpaqueMessage::new(
            rustls::ContentType::ApplicationData,
            rustls::ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + 1 + TAG
    }
}

impl<C: Cipher> MessageDecrypter for Keyed<C> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let cipher = self.cipher.as_ref().ok_or(Error::DecryptError)?;
        let payload = &mut message.payload;
        let aad = make_tls13_aad(payload.len());
        let length = payload.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        let (text, tag) = payload.split_at_mut(length);
        let nonce = Nonce::new(&self.iv, seq).0.into();
        let tag = aes_gcm::aead::Tag::<C>::clone_from_slice(tag);
        cipher
            .decrypt_in_place_detached(&nonce, &aad, text, &tag)
            .map_err(|_| Error::DecryptError)?;
        payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}
