#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod clock;
mod endpoint;
mod outcome;
mod policy;
mod retry;
mod retry_after;
mod signature;
mod timestamp;
mod transport;

pub use clock::{Clock, Instant};
pub use endpoint::{Endpoint, EndpointBuf, EndpointError, Host, Scheme};
pub use outcome::Outcome;
pub use policy::{Policy, Refusal};
pub use retry::{Backoff, INITIAL_BACKOFF, MAX_RETRIES, RETRY_AFTER_MAX, RETRY_AFTER_WAIT};
pub use retry_after::RetryAfter;
pub use signature::{SIGNATURE_HEADER, Secret, Signature};
pub use timestamp::Timestamp;
pub use transport::{ErrorKind, Request, Response, Transport, TransportError};

#[cfg(test)]
extern crate std;
