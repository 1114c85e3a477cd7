//! Who an event is from, proven to its receiver.

use core::cell::RefCell;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;

use crate::event::{MessageId, Timestamp, TraceContext};
use crate::transport::Headers;

#[cfg(feature = "ed25519")]
pub(crate) mod ed25519;
mod fixed;
mod hmac;
pub mod standard;
mod verify;

pub use fixed::FixedHeaders;
pub use hmac::{SIGNATURE_HEADER, Secret, Signature};
pub use verify::{VerifyError, verify};

/// What a signature can be made of.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ToSign<'a> {
    /// The message's id, the same in every attempt.
    pub id: MessageId,
    /// The body, byte for byte.
    pub body: &'a [u8],
    #[cfg_attr(not(feature = "traceparent"), expect(dead_code, reason = "there is none"))]
    pub(crate) trace: Option<TraceContext>,
    pub(crate) wall: &'a dyn Fn() -> Timestamp,
}

impl ToSign<'_> {
    /// The time now by the wall clock, which is read for it.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        (self.wall)()
    }

    /// The trace of the event, if it is alone in the message and came with one.
    #[cfg(feature = "traceparent")]
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }
}

/// Signs messages, anew for each attempt. It is chosen for an endpoint when its workers start
/// ([`Encoding`](crate::Encoding)), and is not linked when nobody names it. `()` signs nothing.
pub trait Signer: Sync {
    /// Adds the headers that prove who `message` is from.
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>);
}

impl Signer for () {
    fn sign(&self, _message: &ToSign<'_>, _headers: &mut Headers<'_>) {}
}

/// Another's.
impl<S: Signer + ?Sized> Signer for &S {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        S::sign(self, message, headers);
    }
}

/// Both, one after the other.
impl<A: Signer, B: Signer> Signer for (A, B) {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        self.0.sign(message, headers);
        self.1.sign(message, headers);
    }
}

/// A secret that can be changed while messages are signed with it: the next attempt is signed with
/// the new one. Without a secret nothing is signed.
pub struct SecretCell<M: RawMutex> {
    secret: Mutex<M, RefCell<Option<Secret>>>,
}

impl<M: RawMutex> SecretCell<M> {
    /// A cell without a secret. It can be a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self { secret: Mutex::new(RefCell::new(None)) }
    }

    /// Signs with `secret` from the next attempt on; with `None` no more.
    pub fn set(&self, secret: Option<Secret>) {
        self.secret.lock(|own| *own.borrow_mut() = secret);
    }
}

impl<M: RawMutex> Default for SecretCell<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex + Sync> Signer for SecretCell<M> {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        // Copied, so that the lock is not held while the body is hashed.
        if let Some(secret) = self.secret.lock(|own| own.borrow().clone()) {
            Signer::sign(&secret, message, headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds the time.
    struct Clerk;

    impl Signer for Clerk {
        fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
            headers.format("at", message.time().seconds());
        }
    }

    #[test]
    fn a_pair_signs_twice_in_its_order() {
        let id = MessageId { node_id: 0, instance: 0, first: 1, last: 1, events: 1 };
        let message = ToSign { id, body: b"{}", trace: None, wall: &|| Timestamp::new(7, 0) };
        let (secret, mut room) = (Secret::new(b"key").unwrap(), [0; 128]);
        let mut headers = Headers::new(&mut room);
        (&Clerk, secret.clone()).sign(&message, &mut headers);
        let signature = secret.sign(b"{}");
        let expected = [("at", "7"), (SIGNATURE_HEADER, signature.as_str())];
        assert_eq!(headers.finish().unwrap(), expected);
    }
}
