//! Who an event is from, proven to its receiver.

mod hmac;

pub use hmac::{SIGNATURE_HEADER, Secret, Signature};
