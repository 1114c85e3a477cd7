//! The keys of an endpoint, which change while messages are signed with them.

use core::cell::RefCell;
use core::slice;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use heapless::Vec;

use crate::event::MessageId;
use crate::json::Writer;
use crate::sign::standard::{
    Content, ID_HEADER, KeyError, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER,
};
use crate::sign::{Signer, ToSign};
use crate::transport::Headers;

/// The most keys at a time: the new one, the old one, and one more.
pub const MAX_KEYS: usize = 3;

/// The keys that sign for an endpoint: all of them, from the next attempt on. Without a key nothing is signed, and
/// none of the headers is sent.
///
/// To rotate a key, add the new one, have the receiver know it, and retire the old one.
///
/// The time of the attempt is the wall time. Receivers refuse one that is more than minutes off: set a URL only when
/// the wall time is known.
pub struct Keys<M: RawMutex> {
    keys: Mutex<M, RefCell<Vec<SigningKey, MAX_KEYS>>>,
}

impl<M: RawMutex> Keys<M> {
    /// No key yet. It can be a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Mutex::new(RefCell::new(Vec::new())) }
    }

    /// Signs with this key, too. One that is there already is not added again.
    ///
    /// # Errors
    /// [`KeyError::TooMany`] when there are three others. Nothing changed then.
    pub fn add(&self, key: SigningKey) -> Result<(), KeyError> {
        self.keys.lock(|keys| {
            let keys = &mut *keys.borrow_mut();
            if keys.iter().any(|known| known.is(&key)) {
                return Ok(());
            }
            keys.push(key).map_err(|_| KeyError::TooMany)
        })
    }

    /// Signs with this key no more. Returns whether it was there.
    pub fn retire(&self, key: &SigningKey) -> bool {
        self.keys.lock(|keys| {
            let keys = &mut *keys.borrow_mut();
            let before = keys.len();
            keys.retain(|known| !known.is(key));
            keys.len() < before
        })
    }

    /// Signs with these keys and no others.
    ///
    /// # Errors
    /// [`KeyError::TooMany`] when there are more than three. Nothing changed then.
    pub fn set(&self, keys: &[SigningKey]) -> Result<(), KeyError> {
        let keys = Vec::from_slice(keys).map_err(|_| KeyError::TooMany)?;
        self.keys.lock(|own| *own.borrow_mut() = keys);
        Ok(())
    }
}

impl<M: RawMutex> Default for Keys<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex + Sync> Signer for Keys<M> {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        // Copied, so that the lock is not held while the body is hashed.
        let keys = self.keys.lock(|keys| keys.borrow().clone());
        sign(&keys, message, headers);
    }
}

/// All of them sign.
impl Signer for [SigningKey] {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        sign(self, message, headers);
    }
}

/// Signs alone.
impl Signer for SigningKey {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        sign(slice::from_ref(self), message, headers);
    }
}

fn sign(keys: &[SigningKey], message: &ToSign<'_>, headers: &mut Headers<'_>) {
    if keys.is_empty() {
        return;
    }
    let (mut id, mut timestamp) = ([0; MessageId::LENGTH], [0; 20]);
    let (mut id, mut timestamp) = (Writer::new(&mut id), Writer::new(&mut timestamp));
    // Both fit.
    let _ = message.id.write_to(&mut id);
    let _ = timestamp.integer(u64::try_from(message.time().seconds()).unwrap_or(0));
    let content = Content { id: id.finish(), timestamp: timestamp.finish(), body: message.body };

    match headers.same(content.id) {
        Some(id) => headers.push(ID_HEADER, id),
        None => headers.write(ID_HEADER, |out| out.push(content.id)),
    }
    headers.write(TIMESTAMP_HEADER, |out| out.push(content.timestamp));
    headers.write(SIGNATURE_HEADER, |out| {
        let mut between: &[u8] = b"";
        for key in keys {
            out.push(between)?;
            key.sign(&content, out)?;
            between = b" ";
        }
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;

    use embassy_sync::blocking_mutex::raw::NoopRawMutex;

    use super::*;
    use crate::event::{MESSAGE_ID_HEADER, Timestamp};
    use crate::sign::Secret;
    use crate::transport::ROOM;

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const THREE: &str = "whsec_EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8=";
    const FOUR: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    const ID: MessageId = MessageId { node_id: 7, instance: 9, first: 42, last: 42, events: 1 };

    fn key(text: &str) -> SigningKey {
        SigningKey::parse(text).unwrap()
    }

    fn keys(texts: &[&str]) -> vec::Vec<SigningKey> {
        texts.iter().map(|text| key(text)).collect()
    }

    /// How many headers a message has whose format gives it these.
    fn signed(
        signer: &(impl Signer + ?Sized),
        id: MessageId,
        format: impl FnOnce(&mut Headers<'_>),
    ) -> Option<usize> {
        let mut room = [0; ROOM];
        let mut headers = Headers::new(&mut room);
        format(&mut headers);
        let wall = || Timestamp::new(253_402_300_799, 0);
        signer.sign(&ToSign { id, body: b"{}", trace: None, wall: &wall }, &mut headers);
        headers.finish().map(<[_]>::len)
    }

    /// The values of the headers of Standard Webhooks.
    fn values(signer: &(impl Signer + ?Sized)) -> vec::Vec<(String, String)> {
        let mut room = [0; ROOM];
        let mut headers = Headers::new(&mut room);
        let wall = || Timestamp::new(1_614_265_330, 999_999_999);
        signer.sign(&ToSign { id: ID, body: b"{}", trace: None, wall: &wall }, &mut headers);
        let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        headers.finish().unwrap().iter().map(owned).collect()
    }

    fn signatures(keys: &Keys<NoopRawMutex>) -> usize {
        let keys = keys.keys.lock(|keys| keys.borrow().clone());
        values(&keys[..]).last().map_or(0, |(_, value)| value.split(' ').count())
    }

    #[test]
    fn each_key_signs_the_id_the_time_and_the_body() {
        let headers = values(&keys(&[ONE, TWO])[..]);
        let names: vec::Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
        assert_eq!(headers[0].1, "7-0000000000000009-42");
        assert_eq!(headers[1].1, "1614265330");
        // By Python's hmac.
        assert_eq!(
            headers[2].1,
            "v1,Dj/kqJStJt1/wlyfrGFEp+BKqMXU3WkHsTsI1ZPcwjg= v1,aTpxPT7NwX/Bi3dnFazEtTSXEPIffRlKwChJuKpBhFA="
        );
        assert_eq!(values(&key(TWO))[2].1, "v1,aTpxPT7NwX/Bi3dnFazEtTSXEPIffRlKwChJuKpBhFA=");
    }

    #[test]
    fn without_a_key_nothing_is_said() {
        assert!(values(&[] as &[SigningKey]).is_empty());
    }

    #[test]
    fn a_time_before_1970_is_0() {
        let mut room = [0; ROOM];
        let mut headers = Headers::new(&mut room);
        let message = ToSign { id: ID, body: b"{}", trace: None, wall: &|| Timestamp::new(-5, 0) };
        Signer::sign(&key(ONE), &message, &mut headers);
        assert_eq!(headers.finish().unwrap()[1], (TIMESTAMP_HEADER, "0"));
    }

    #[test]
    fn keys_come_and_go() {
        let keys = Keys::<NoopRawMutex>::default();
        assert_eq!(signatures(&keys), 0);
        for (text, count) in [(ONE, 1), (TWO, 2), (TWO, 2), (THREE, 3), (ONE, 3)] {
            assert_eq!(keys.add(key(text)), Ok(()));
            assert_eq!(signatures(&keys), count);
        }
        assert_eq!(keys.add(key(FOUR)), Err(KeyError::TooMany));
        assert!(!keys.retire(&key(FOUR)));
        assert!(keys.retire(&key(TWO)));
        assert!(!keys.retire(&key(TWO)));
        assert_eq!(signatures(&keys), 2);
        assert_eq!(keys.set(&self::keys(&[ONE, TWO, THREE, FOUR])), Err(KeyError::TooMany));
        assert_eq!(signatures(&keys), 2);
        assert_eq!(keys.set(&[key(FOUR)]), Ok(()));
        assert_eq!(signatures(&keys), 1);
        assert_eq!(keys.set(&[]), Ok(()));
        assert_eq!(signatures(&keys), 0);
    }

    /// A message whose headers do not fit is not sent.
    #[test]
    fn the_longest_headers_fit() {
        #[cfg(not(feature = "ed25519"))]
        let keys = keys(&[ONE, TWO, THREE]);
        #[cfg(feature = "ed25519")]
        let keys = keys(&["whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="; MAX_KEYS]);
        let signers = (Secret::new(b"key").unwrap(), &keys[..]);
        let (first, last) = (u64::MAX - 1, u64::MAX);
        let batch = MessageId { node_id: u32::MAX, instance: last, first, last, events: u32::MAX };
        let pilot = |headers: &mut Headers<'_>| {
            headers.format(MESSAGE_ID_HEADER, batch);
            headers.format("X-Pilot-Batch", batch.events);
        };
        assert_eq!(signed(&signers, batch, pilot), Some(6));
        assert_eq!(signed(&signers, batch, |_| {}), Some(4));
        let one = MessageId { first: last, events: 1, ..batch };
        let cloud_events = |headers: &mut Headers<'_>| {
            headers.format("ce-id", one);
            headers.format("ce-source", format_args!("urn:pilot:node:{}", one.node_id));
            headers.format("ce-type", format_args!("{:64}", ""));
            headers.format("ce-time", format_args!("{:30}", ""));
        };
        assert_eq!(signed(&signers, one, cloud_events), Some(8));
    }
}
